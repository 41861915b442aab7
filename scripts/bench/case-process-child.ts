import * as tf from "@tensorflow/tfjs-core";
import type { Backend } from "../../src/backend/backend.js";
import { outOfMemory } from "../../src/backend/tensorflow-messages.js";
import { checkGenerationFits } from "../../src/cost/memory-check.js";
import { type Comparison, compareModes } from "../../src/generation/compare.js";
import { InputError, type Model } from "../../src/index.js";
import { KVCache } from "../../src/model/kv-cache.js";
import { run } from "../../src/util/run-command.js";
import { openModel } from "../open-model.js";
import type { CaseSpec } from "./case.js";
import { benchPrompts, GREEDY, measureGeneration, trace } from "./measure.js";
import type { Answer, Opened, Request, Run } from "./running-case.js";

// The process of one case: see running-case.ts.

let open: { backend: Backend; model: Model; spec: CaseSpec };

process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the parent decides what is kept, and ends this
process.on("disconnect", () => process.exit());
process.on("message", (request: Request) => {
  const answers = { open: load, run: generate, compare };
  (answers[request.ask] as (request: Request) => Promise<unknown>)(request).then(
    (result) => send({ result }),
    (error: Error) =>
      send({ error: (outOfMemory(error) ?? error).message, input: error instanceof InputError }),
  );
});

async function load({ options, spec }: Extract<Request, { ask: "open" }>): Promise<Opened> {
  const { backend, model, name } = await openModel(options);
  trace(model, spec.batch, spec.input + spec.output);
  open = { backend, model, spec };
  return { backend, model: name };
}

/** The prompts of the case, if it fits in memory: the prompts alone could be too much. */
function promptsFor(output: number, useCache: boolean): number[][] {
  const { config } = open.model;
  const { batch, input } = open.spec;
  checkGenerationFits(config, { batch, input, output, useCache });
  return benchPrompts(batch, input, config.vocabSize);
}

async function generate({ output }: Extract<Request, { ask: "run" }>): Promise<Run> {
  const { model, spec } = open;
  const options = { maxGenLen: output, useCache: spec.useCache, onStep: (done: number) => send({ done }) };
  const measured = await measureGeneration(model, promptsFor(output, spec.useCache), options);
  return { ...measured, memory: await memory() };
}

/** Both modes in lockstep, untimed: tokens and logits. */
async function compare(): Promise<Comparison> {
  const maxGenLen = open.spec.output;
  return compareModes(open.model, promptsFor(maxGenLen, false), { ...GREEDY, maxGenLen });
}

async function memory(): Promise<Run["memory"]> {
  const { backend, model, spec } = open;
  const peak = process.resourceUsage().maxRSS * 1024;
  const device = backend.device === "cuda" ? await gpuMemory() : null;
  if (spec.execution !== "eager") return { process: peak, device, cache: null }; // its cache is TensorFlow's own
  const before = tf.memory().numBytes;
  const cache = spec.useCache ? new KVCache(model.config, spec.batch, spec.input + spec.output) : undefined;
  const bytes = tf.memory().numBytes - before;
  cache?.dispose();
  return { process: peak, device, cache: bytes };
}

/** Bytes in use on the first GPU, by any process. TensorFlow returns none before it ends, so this is the peak. */
async function gpuMemory(): Promise<number | null> {
  const query = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"];
  const { ok, stdout } = await run("nvidia-smi", query);
  return ok ? Number.parseInt(stdout, 10) * 2 ** 20 : null;
}

function send(message: Answer): void {
  process.send!(message);
}
