import { closeSync, openSync, writeSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { checkGenerationFits } from "../../src/cost/memory-check.js";
import { outOfMemory } from "../../src/backend/tensorflow-messages.js";
import { run } from "../../src/util/run-command.js";
import type { Backend } from "../../src/backend/backend.js";
import { GraphLlama, InputError, type Model } from "../../src/index.js";
import { KVCache } from "../../src/model/kv-cache.js";
import { measureGeneration } from "./measure.js";
import { openModel } from "../open-model.js";
import type { CellSpec } from "./case.js";
import type { Answer, Opened, Request, Run } from "./case-process.js";

// What a cell's process does: see cell-process.ts.

let open: { backend: Backend; model: Model; spec: CellSpec };

process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the parent decides what is kept, and ends this
process.on("disconnect", () => process.exit());
process.on("message", (request: Request) => {
  answer(request).then(
    (result) => send({ result }),
    (error: Error) =>
      send({ error: (outOfMemory(error) ?? error).message, input: error instanceof InputError }),
  );
});

function answer(request: Request): Promise<unknown> {
  return request.ask === "open" ? load(request) : generate(request);
}

async function load({ options, spec }: Extract<Request, { ask: "open" }>): Promise<Opened> {
  const { backend, model, name } = await openModel(options);
  if (model instanceof GraphLlama) model.prepare(spec.batch, spec.input + spec.output); // recording is no part of any step
  open = { backend, model, spec };
  return { backend, model: name };
}

async function generate({ output, scoresFile }: Extract<Request, { ask: "run" }>): Promise<Run> {
  const { model, spec } = open;
  const { vocabSize } = model.config;
  const { batch, input, useCache } = spec;
  checkGenerationFits(model.config, { batch, input, output, useCache }); // or the prompts alone could be too much
  // Every row another prompt, so that rows mixed up would show.
  const prompt = (row: number) => Array.from({ length: input }, (_, i) => (7919 * i + 104_729 * row + 1) % vocabSize); // prettier-ignore
  const prompts = Array.from({ length: batch }, (_, row) => prompt(row));
  const file = scoresFile === undefined ? undefined : openSync(scoresFile, "w");
  const write = (logits: readonly Float32Array[]) => {
    for (const one of logits) writeSync(file!, one);
  };
  try {
    const options = { maxGenLen: output, useCache };
    // All scores leave a recorded graph only if they are asked for, which takes time that greedy decoding does not need.
    const apart = file !== undefined && spec.execution !== "eager";
    const scored = apart && (await measureGeneration(model, prompts, { ...options, onLogits: write }));
    const measured = await measureGeneration(model, prompts, {
      ...options,
      onStep: (done) => send({ done }),
      onLogits: file !== undefined && !apart ? write : undefined,
    });
    if (scored && JSON.stringify(scored.tokens) !== JSON.stringify(measured.tokens)) {
      throw new Error("the generation whose scores were looked at chose other tokens than the measured one");
    }
    return { ...measured, memory: await memory() };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

async function memory(): Promise<Run["memory"]> {
  const { backend, model, spec } = open;
  const peak = process.resourceUsage().maxRSS * 1024;
  const device = backend.device === "cuda" ? await cardMemory() : null;
  if (spec.execution !== "eager") return { process: peak, device, cache: null }; // its cache is TensorFlow's own
  const before = tf.memory().numBytes;
  const cache = spec.useCache ? new KVCache(model.config, spec.batch, spec.input + spec.output) : undefined;
  const bytes = tf.memory().numBytes - before;
  cache?.dispose();
  return { process: peak, device, cache: bytes };
}

/** Bytes taken of the first card, by whoever; TensorFlow gives nothing back, so afterwards is as good as at the peak. */
async function cardMemory(): Promise<number | null> {
  const query = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"];
  const { ok, stdout } = await run("nvidia-smi", query);
  return ok ? Number.parseInt(stdout, 10) * 2 ** 20 : null;
}

function send(message: Answer): void {
  process.send!(message);
}
