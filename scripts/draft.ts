import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  ModelDraft,
  PromptLookup,
  speculate,
  type Draft,
  type Round,
} from "../src/generation/speculative.js";
import type { StepOptions } from "../src/generation/options.js";
import { InputError, Llama, loadCheckpoint, type Model } from "../src/index.js";
import { TextStream } from "../src/tokenizer/text-stream.js";
import type { Tokenizer } from "../src/tokenizer/tokenizer.js";
import { count, duration } from "./terminal.js";
import { WrappedText } from "./wrapped-text.js";

/** The result of a generation with a draft. */
export interface DraftedText {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly seconds: number;
  /** Forward passes of the model; without a draft, one for each token. */
  readonly calls: number;
  readonly guessed: number;
  readonly accepted: number;
}

/**
 * Continues one prompt by speculative decoding, and prints the text as it grows.
 *
 * @param which see `openDraft`
 * @param show  false prints nothing
 */
export async function generateWithDraft(
  model: Model,
  tokenizer: Tokenizer,
  prompts: readonly string[],
  which: string | true,
  options: Omit<StepOptions, "stopIds" | "useCache"> & {
    readonly guesses: number;
    readonly checkpoint: string;
  },
  show: boolean,
): Promise<DraftedText> {
  if (!(model instanceof Llama)) throw new InputError("--execution must be eager with --draft");
  if (prompts.length !== 1) throw new InputError(`--draft must have one --prompt, got ${prompts.length}`);
  const prompt = tokenizer.encode(prompts[0]!);
  const capacity = prompt.length + options.maxGenLen;
  const { checkpoint } = options;
  const draft = await openDraft(which === true ? "own" : which, { model, tokenizer, checkpoint, capacity });
  const out = new WrappedText("");
  const stream = new TextStream(tokenizer);
  const rounds: Round[] = [];
  let text = "";
  const write = (delta: string) => {
    if (show) out.write(text === "" ? prompts[0]! + delta : delta);
    text += delta;
  };
  const started = performance.now();
  try {
    const { stopIds } = tokenizer;
    for await (const round of speculate(model, prompt, draft, { ...options, stopIds })) {
      rounds.push(round);
      for (const id of round.tokens) if (!stopIds.has(id)) write(stream.push(id));
    }
    write(stream.end());
  } finally {
    draft.dispose();
    out.end();
  }
  const seconds = (performance.now() - started) / 1000;
  const sum = (of: (round: Round) => number) => rounds.reduce((total, round) => total + of(round), 0);
  const tokens = rounds.flatMap((round) => round.tokens);
  return {
    text,
    tokens,
    seconds,
    calls: rounds.length,
    guessed: sum((r) => r.guessed),
    accepted: sum((r) => r.accepted),
  };
}

/** One line about the result: tokens, time, forward passes, accepted guesses. */
export function draftSummary({ tokens, seconds, calls, guessed, accepted }: DraftedText): string {
  const perCall = (tokens.length / calls).toFixed(2);
  return (
    `${count(tokens.length, "token")} in ${duration(seconds)} and ${count(calls, "call")} of the model ` +
    `(${perCall} tokens per call), ${accepted} of ${guessed} guesses accepted`
  );
}

/**
 * Opens a draft by its name on the command line.
 *
 * @param which "lookup"; a number of the model's own first layers; "own", which is the directory `draft` of the model's
 *              checkpoint; or the directory of another smaller model
 * @throws InputError for another number of layers, and for a model without such a draft or with another vocabulary
 */
export async function openDraft(
  which: string,
  { model, tokenizer, checkpoint, capacity }: Target,
): Promise<Draft> {
  if (which === "lookup") return new PromptLookup();
  if (/^\d+$/.test(which)) {
    const { nLayers } = model.config;
    const layers = Number(which);
    if (layers < 1 || layers >= nLayers) {
      throw new InputError(`--draft must be 1 to ${nLayers - 1} of the model's layers, got ${which}`);
    }
    return new ModelDraft(model.firstLayers(layers), capacity);
  }
  const directory = which === "own" ? join(checkpoint, "draft") : which;
  if (which === "own" && !existsSync(directory)) {
    throw new InputError(
      `--draft must name a draft for a checkpoint that has none of its own in ${directory}: ` +
        "lookup, a number of layers, or a directory",
    );
  }
  const { model: small, tokenizer: other } = await loadCheckpoint(directory);
  const sample = "The quick brown fox, 1,234 times.\n";
  if (
    small.config.vocabSize !== model.config.vocabSize ||
    `${other.encode(sample)}` !== `${tokenizer.encode(sample)}`
  ) {
    small.dispose();
    throw new InputError(`the draft ${directory} must have the model's tokenizer, got another vocabulary`);
  }
  return new ModelDraft(small, capacity, true);
}

/** The model that a draft guesses for, and the positions of prompt and generated tokens together. */
interface Target {
  readonly model: Llama;
  readonly tokenizer: Tokenizer;
  readonly checkpoint: string;
  readonly capacity: number;
}
