import type { Model } from "../model/model.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import { checkedLength, checkOwnCache, type StepOptions } from "./options.js";
import { readLogits, sampleToken } from "./sampling.js";
import { type NextToken, Sequence } from "./sequence.js";

/** One iteration of the loop: its input and its result. */
export interface Step {
  /** Counts from 1; the first is the prefill. */
  readonly iteration: number;
  /** The first position computed. With the cache, the end of the last step; without it, always 0. */
  readonly prevPos: number;
  /** One past the last position computed, and the position that this step decides. */
  readonly curPos: number;
  /** Token ids of positions prevPos … curPos-1, one list per sequence. */
  readonly inputIds: readonly (readonly number[])[];
  /** The token at position curPos, one per sequence. */
  readonly next: readonly NextToken[];
}

/**
 * Generates step by step for a batch of prompts, after `generate` in Meta's llama3/generation.py.
 *
 * The first step is the prefill: it computes as many positions as the shortest prompt has. Each later step decides one
 * more position. A sequence that is still within its prompt keeps its own next token instead of the model's, so no
 * padding enters attention.
 *
 * @param prompts one list of token ids per sequence
 * @throws InputError for an empty batch or prompt, options out of range, or a prompt that exceeds the model's context;
 *         NotFiniteError when logits are not finite; the signal's reason when it is aborted
 */
export async function* steps(
  model: Model,
  prompts: readonly (readonly number[])[],
  options: StepOptions,
): AsyncGenerator<Step, void, void> {
  if (hasOwnLoop(model)) return yield* model.steps(prompts, options);
  const capacity = checkedLength(prompts, options, model);
  const sequences = prompts.map((prompt) => new Sequence(prompt, options.maxGenLen, options.stopIds));
  const { sample = sampleToken } = options;
  const create = () => model.createCache(prompts.length, capacity, options.cacheKind);
  const cache = options.cache ?? (options.useCache ? create() : undefined);
  try {
    let prevPos = cache?.length ?? 0;
    let curPos = prompts.reduce((shortest, { length }) => Math.min(shortest, length), Infinity);
    for (let iteration = 1; sequences.some(({ finished }) => !finished); iteration++) {
      await yieldToEventLoop(options.signal);
      checkOwnCache(options.cache, prevPos);
      const inputIds = sequences.map(({ tokens }) => tokens.slice(prevPos, curPos));
      const logits = await readLogits(model.forward(inputIds, cache, options.probe), curPos); // B arrays of V
      options.onLogits?.(logits);
      const next = sequences.map((sequence, i) =>
        sequence.advance(curPos, () => sample(logits[i]!, i, curPos, options)),
      );
      yield { iteration, prevPos, curPos, inputIds, next };

      if (cache) prevPos = curPos; // the cache holds everything before; without it, the next step starts at 0 again
      curPos++;
    }
  } finally {
    if (cache !== options.cache) cache?.dispose();
  }
}

/** A model that runs the loop itself, as graph mode does; it must yield the same steps. */
export interface SteppingModel extends Model {
  steps(prompts: readonly (readonly number[])[], options: StepOptions): AsyncGenerator<Step, void, void>;
}

const hasOwnLoop = (model: Model): model is SteppingModel => "steps" in model;
