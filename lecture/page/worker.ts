import { type Checkpoint, loadCheckpoint } from "../../src/checkpoint/load.js";
import { checkedLength } from "../../src/generation/options.js";
import type { Llama } from "../../src/model/llama.js";
import { BUGS } from "../bugs.js";
import { Lockstep } from "../lockstep.js";
import { wordsOf } from "../trace-file.js";
import type { TraceHead, Turn } from "../trace.js";
import { loadBackend } from "./engine.js";
import { addFile } from "./memory-files.js";
import type { Reply, Request, RunOptions } from "./protocol.js";

/** A broken run goes on for so many turns after the first wrong token; from there on the texts differ anyway. */
const TURNS_AFTER_DIFFERENCE = 6;

const reply = (message: Reply): void => postMessage(message);

let loaded: (Checkpoint & { readonly backend: string }) | undefined;
let current: { readonly run: number; readonly both: Lockstep; taken: number; last: number } | undefined;
let newest = 0; // the run that the page asked for last

/** Requests are answered one after the other; a turn in progress is never interrupted. */
let queue: Promise<void> = Promise.resolve();
onmessage = ({ data }: MessageEvent<Request>): void => {
  if (data.type === "start") newest = data.run;
  queue = queue
    .then(() => answer(data))
    .catch((error: Error) => {
      const run = data.type === "load" ? 0 : data.run;
      reply({ type: "failed", run, message: error.message });
    });
};

async function answer(request: Request): Promise<void> {
  switch (request.type) {
    case "load": {
      for (const [path, bytes] of request.files) addFile(path, bytes);
      const backend = await loadBackend(request.wasm);
      loaded = { ...(await loadCheckpoint("fairy-tales")), backend };
      await warmUp(loaded.model);
      return reply({ type: "ready" });
    }
    case "start":
      return start(request.run, request.options);
    case "until":
      return takeTurns(request.run, request.turns);
  }
}

/** The first products pack the weights: a step of its own, so that no step on show has to. */
async function warmUp(model: Llama): Promise<void> {
  const options = { maxGenLen: 2, temperature: 0, topP: 1, seed: 0, stopIds: new Set<number>() };
  const both = new Lockstep(model, [[0, 0]], options, []);
  await both.turn();
  await both.turn();
  await both.end();
}

async function start(run: number, { prompts: texts, bug: bugId, ...options }: RunOptions): Promise<void> {
  await current?.both.end();
  current = undefined;
  const { model, tokenizer, backend } = loaded!;
  const prompts = texts.map((text) => ({ text, ids: tokenizer.encode(text) }));
  const ids = prompts.map((prompt) => prompt.ids);
  const bug = BUGS.find(({ id }) => id === bugId);
  const stepOptions = { ...options, stopIds: tokenizer.stopIds };
  checkedLength(ids, { ...stepOptions, useCache: false }, model.config);
  const layers = Array.from({ length: model.config.nLayers }, (_, i) => i);
  const both = new Lockstep(model, ids, stepOptions, layers, bug);
  current = { run, both, taken: 0, last: Infinity };
  const head: TraceHead = {
    model: "fairy-tales",
    config: model.config,
    backend,
    prompts,
    layers,
    ...options,
  };
  reply({ type: "started", run, head, words: wordsOf(tokenizer, prompts, []) });
}

async function takeTurns(run: number, turns: number): Promise<void> {
  for (;;) {
    if (current?.run !== run || newest !== run || current.taken >= turns) return;
    const turn = current.taken < current.last ? await current.both.turn() : undefined;
    if (!turn) {
      await current.both.end();
      current = undefined;
      return reply({ type: "ended", run });
    }
    current.taken++;
    if (differs(turn)) current.last = Math.min(current.last, current.taken + TURNS_AFTER_DIFFERENCE);
    reply({ type: "turn", run, turn, words: wordsOf(loaded!.tokenizer, [], [turn]) });
  }
}

function differs({ cached, uncached, whole }: Turn): boolean {
  return [cached, uncached].some((step) => step?.next.some(({ id }, row) => whole && id !== whole.next[row]));
}
