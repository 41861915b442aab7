import * as tf from "@tensorflow/tfjs-core";
import { memoryFiles } from "../../src/checkpoint/memory-files.js";
import { type Checkpoint, readCheckpoint } from "../../src/checkpoint/read-checkpoint.js";
import { checkedLength } from "../../src/generation/options.js";
import { runDemo } from "../after/demos.js";
import type { Subject } from "../after/subject.js";
import { BUGS } from "../bugs.js";
import { changedKeys } from "../changed-keys.js";
import { Lockstep } from "../lockstep.js";
import { tokenStrings } from "../trace-file.js";
import type { Llama } from "../../src/model/llama.js";
import type { StepPair, TraceHeader } from "../trace.js";
import { loadBackend } from "./backend.js";
import type { Reply, Request, RunOptions } from "./protocol.js";

/** A run with a planted bug ends this many steps after the first wrong token: from there on, all tokens differ. */
const STEPS_AFTER_DIFFERENCE = 6;

const reply = (message: Reply): void => postMessage(message);

let loaded: (Checkpoint & Subject & { readonly backend: string }) | undefined;
let current: { readonly run: number; readonly both: Lockstep; taken: number; last: number } | undefined;
let newest = 0; // number of the run that the page requested last

/** Requests are answered one after the other; a step in progress is never interrupted. */
let queue: Promise<void> = Promise.resolve();
let waiting = 0; // requests in it
const demos: Request[] = []; // run one by one while no other request waits
onmessage = ({ data }: MessageEvent<Request>): void => {
  if (data.type === "start") newest = data.run;
  if (data.type === "demo") demos.push(data);
  else enqueue(data);
  if (waiting === 0) enqueue(demos.shift());
};

function enqueue(request: Request | undefined): void {
  if (!request) return;
  waiting++;
  queue = queue
    .then(() => answer(request))
    .catch((error: Error) => {
      const run = "run" in request ? request.run : 0;
      reply({ type: "failed", run, message: error.message });
    })
    .finally(() => {
      waiting--;
      if (waiting === 0) enqueue(demos.shift());
    });
}

async function answer(request: Request): Promise<void> {
  if (!loaded && request.type !== "load") return; // the page has been told why
  switch (request.type) {
    case "load":
      loaded = await load(request.wasm, request.files);
      return;
    case "start":
      return start(request.run, request.options);
    case "until":
      return takeSteps(request.run, request.steps);
    case "compare":
      return compare(request.texts);
    case "demo": {
      const { id, choice } = request;
      const result = await runDemo(id, loaded!, choice);
      return reply({ type: "demo", id, choice, result });
    }
  }
}

async function load(wasm: string, files: ReadonlyMap<string, string>): Promise<typeof loaded> {
  const own = unpackAll(files, (name) => !name.startsWith(DRAFT));
  const backend = await loadBackend(await unpack(wasm));
  const checkpoint = await readCheckpoint(memoryFiles("fairy-tales", await own));
  tf.dispose(checkpoint.model.forward([[0, 0]])); // the first matmuls pack the weights, which is not to be timed
  let draft: Promise<Llama> | undefined;
  const readDraft = async () => {
    const unpacked = await unpackAll(files, (name) => name.startsWith(DRAFT) || name.startsWith("tokenizer"));
    const named = Array.from(unpacked, ([name, bytes]) => [name.replace(DRAFT, ""), bytes] as const);
    return (await readCheckpoint(memoryFiles("fairy-tales/draft", named))).model;
  };
  return { ...checkpoint, loadDraft: () => (draft ??= readDraft()), backend };
}

/** Folder of the draft, which is read when a demonstration needs it. */
const DRAFT = "draft/";

/** Decompresses the files whose names fit. */
async function unpackAll(
  files: ReadonlyMap<string, string>,
  fits: (name: string) => boolean,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const chosen = [...files].filter(([name]) => fits(name));
  return new Map(
    await Promise.all(chosen.map(async ([name, packed]) => [name, await unpack(packed)] as const)),
  );
}

/** Decompresses a packed file. Not by fetching a data URL, which takes Chromium several times as long. */
async function unpack(base64: string): Promise<Uint8Array> {
  try {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    const file = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(file).arrayBuffer());
  } catch (cause) {
    const { message } = cause as Error;
    throw new Error(`The model in this page could not be decompressed: ${message}`, { cause });
  }
}

async function start(run: number, { prompts: texts, bug: bugId, ...options }: RunOptions): Promise<void> {
  await current?.both.end();
  current = undefined;
  const { model, tokenizer, backend } = loaded!;
  const { config } = model;
  const prompts = texts.map((text) => ({ text, ids: tokenizer.encode(text) }));
  const ids = prompts.map((prompt) => prompt.ids);
  const bug = BUGS.find(({ id }) => id === bugId);
  const stepOptions = { ...options, stopIds: tokenizer.stopIds };
  checkedLength(ids, { ...stepOptions, useCache: false }, model);
  const layers = Array.from({ length: config.nLayers }, (_, i) => i);
  const both = new Lockstep(model, ids, stepOptions, layers, bug);
  current = { run, both, taken: 0, last: Infinity };
  const header: TraceHeader = { model: "fairy-tales", config, backend, prompts, layers, ...options };
  reply({ type: "started", run, header, strings: tokenStrings(tokenizer, prompts, []) });
}

async function takeSteps(run: number, steps: number): Promise<void> {
  for (;;) {
    if (current?.run !== run || newest !== run || current.taken >= steps) return;
    const pair = current.taken < current.last ? await current.both.step() : undefined;
    if (!pair) {
      await current.both.end();
      current = undefined;
      return reply({ type: "ended", run });
    }
    current.taken++;
    if (differs(pair)) current.last = Math.min(current.last, current.taken + STEPS_AFTER_DIFFERENCE);
    reply({ type: "step", run, pair, strings: tokenStrings(loaded!.tokenizer, [], [pair]) });
  }
}

async function compare(texts: readonly [string, string]): Promise<void> {
  const { model, tokenizer } = loaded!;
  const changes = await changedKeys(model, tokenizer.encode(texts[0]), tokenizer.encode(texts[1]));
  reply({ type: "compared", texts, changes });
}

function differs({ cached, uncached, reference }: StepPair): boolean {
  return [cached, uncached].some((step) =>
    step?.next.some(({ id }, i) => reference && id !== reference.next[i]),
  );
}
