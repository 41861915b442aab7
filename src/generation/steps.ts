import type { Model } from "../model/model.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import { checkedLength, type StepOptions } from "./options.js";
import { readLogits, sample } from "./sampling.js";
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

/** A model with a loop of its own, which must yield the same steps; graph mode's decodes inside the graph. */
export interface SteppingModel extends Model {
  steps(prompts: readonly (readonly number[])[], options: StepOptions): AsyncGenerator<Step, void, void>;
}

/**
 * Generates step by step for a batch of prompts.
 *
 * @param prompts one list of token ids per sequence
 * @throws InputError for an empty batch or prompt, options out of range, or a prompt that exceeds the model's context;
 *         NotFiniteError when logits are not finite; the signal's reason when it is aborted
 */
export const steps = (
  model: Model | SteppingModel,
  prompts: readonly (readonly number[])[],
  options: StepOptions,
): AsyncGenerator<Step, void, void> =>
  "steps" in model ? model.steps(prompts, options) : generationLoop(model, prompts, options);

/**
 * The generation loop, after `generate` in Meta's llama3/generation.py.
 *
 * The first step is the prefill: it computes as many positions as the shortest prompt has. Each later step decides one
 * more position. A sequence that is still within its prompt keeps its own next token instead of the model's, so no
 * padding enters attention.
 *
 * @param choose a sequence's next token; the default samples it from the logits
 */
export async function* generationLoop(
  model: Model,
  prompts: readonly (readonly number[])[],
  options: StepOptions,
  choose = sample,
): AsyncGenerator<Step, void, void> {
  const capacity = checkedLength(prompts, options, model.config);
  const sequences = prompts.map((prompt) => new Sequence(prompt, options.maxGenLen, options.stopIds));
  const ownCache =
    options.useCache && !options.cache ? model.createCache(prompts.length, capacity) : undefined;
  const cache = options.cache ?? ownCache;
  try {
    let prevPos = cache?.length ?? 0;
    let curPos = prompts.reduce((shortest, { length }) => Math.min(shortest, length), Infinity);
    for (let iteration = 1; sequences.some(({ finished }) => !finished); iteration++) {
      await yieldToEventLoop(options.signal);
      const inputIds = sequences.map(({ tokens }) => tokens.slice(prevPos, curPos));
      const logits = await readLogits(model.forward(inputIds, cache, options.probe), curPos); // B arrays of V
      options.onLogits?.(logits);
      const next = sequences.map((sequence, i) =>
        sequence.advance(curPos, () => choose(logits[i]!, i, curPos, options)),
      );
      yield { iteration, prevPos, curPos, inputIds, next };

      if (cache) prevPos = curPos; // the cache holds everything before; without it, the next step starts at 0 again
      curPos++;
    }
  } finally {
    ownCache?.dispose();
  }
}
