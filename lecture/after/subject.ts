import type { StepOptions } from "../../src/generation/options.js";
import type { Llama } from "../../src/model/llama.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";

/** The model that a demonstration runs on. */
export interface Subject {
  readonly model: Llama;
  readonly tokenizer: Tokenizer;
  /** Loads the model that drafts for it, once. */
  readonly loadDraft: () => Promise<Llama>;
}

/** Greedy decoding with the cache, for exactly `maxGenLen` tokens. */
export const greedy = (maxGenLen: number): StepOptions => ({
  maxGenLen,
  useCache: true,
  temperature: 0,
  topP: 1,
  seed: 0,
  stopIds: new Set(),
});
