import type { GenerationCache } from "../model/generation-cache.js";
import type { Llama } from "../model/llama.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import { InputError } from "../util/errors.js";
import { decide, type Guess, guessFrom } from "./acceptance.js";
import { checkedLength, type StepOptions } from "./options.js";
import { readLogits, readRows, type SamplingOptions } from "./sampling.js";

/** A source of guesses for the next tokens. */
export interface Draft {
  /**
   * Guesses up to `count` tokens that follow `tokens`.
   *
   * @returns the tokens, and the distribution that each was drawn from; none for a certain guess
   */
  guess(
    tokens: readonly number[],
    count: number,
    options: SamplingOptions,
  ): readonly Guess[] | Promise<readonly Guess[]>;
  /** Told after each round: only the first `length` tokens of what was guessed from are right. */
  truncate(length: number): void;
  dispose(): void;
}

/** Options of `speculate`. */
export interface SpeculativeOptions extends Omit<
  StepOptions,
  "useCache" | "cache" | "sample" | "probe" | "onLogits"
> {
  /** Tokens to guess in each round, at most. */
  readonly guesses: number;
}

/** One round: one forward pass of the model. */
export interface Round {
  /** Guesses that the model was asked about. */
  readonly guessed: number;
  /** Guesses that were accepted; the round's tokens are these and one of the model's own. */
  readonly accepted: number;
  readonly tokens: readonly number[];
}

/**
 * Speculative decoding (Leviathan et al. 2023, "Fast Inference from Transformers via Speculative Decoding"; Chen et al.
 * 2023): a draft guesses the next tokens, and one forward pass of the model computes the logits at all of them. It reads
 * the weights once for several tokens. The cache then drops the positions of wrong guesses.
 *
 * Greedy decoding gives the tokens of `steps`. Sampling gives tokens of the model's own distribution, by the rule of
 * `decide`.
 *
 * @param draft the caller disposes it
 * @throws what `steps` throws
 */
export async function* speculate(
  model: Llama,
  prompt: readonly number[],
  draft: Draft,
  options: SpeculativeOptions,
): AsyncGenerator<Round, void, void> {
  const { maxGenLen, stopIds, guesses, signal } = options;
  const capacity = checkedLength([prompt], { ...options, useCache: true }, model);
  const cache = model.createCache(1, capacity, options.cacheKind);
  try {
    if (!Number.isInteger(guesses) || guesses < 1 || guesses >= cache.prefillChunk) {
      throw new InputError(
        `guesses must be a whole number from 1 to ${cache.prefillChunk - 1}, got ${guesses}`,
      );
    }
    const tokens = [...prompt];
    const end = prompt.length + maxGenLen;
    while (tokens.length < end && !stopIds.has(tokens.length > prompt.length ? tokens.at(-1)! : -1)) {
      await yieldToEventLoop(signal);
      const count = Math.min(guesses, end - tokens.length - 1);
      const guessed = await draft.guess(tokens, count, options);
      const inputIds = [...tokens.slice(cache.length), ...guessed.map(({ id }) => id)];
      const logits = await lastLogits(model, inputIds, cache, guessed.length + 1);
      const round = judge(logits, guessed, tokens.length, options);
      tokens.push(...round.tokens);
      cache.truncate(tokens.length - 1); // wrong guesses; the round's last token has not been an input yet
      draft.truncate(tokens.length - 1);
      yield round;
    }
  } finally {
    cache.dispose();
  }
}

/** Accepts guesses up to the first wrong one, in whose place the model's own token is. */
function judge(
  logits: readonly Float32Array[],
  guessed: readonly Guess[],
  position: number,
  options: SpeculativeOptions,
): Round {
  const tokens: number[] = [];
  let accepted = 0;
  for (const [i, values] of logits.entries()) {
    const decision = decide(values, guessed[i], position + i, options);
    tokens.push(decision.id);
    if (decision.accepted) accepted++;
    if (!decision.accepted || options.stopIds.has(decision.id)) break;
  }
  return { guessed: guessed.length, accepted, tokens };
}

/** Computes positions into the cache; logits at the last `count` of them, V each. */
async function lastLogits(
  model: Llama,
  inputIds: readonly number[],
  cache: GenerationCache,
  count: number,
): Promise<Float32Array[]> {
  const before = inputIds.length - count;
  if (before > 0) model.forward([inputIds.slice(0, before)], cache).dispose(); // a prompt, in chunks
  const logits = model.forwardAll(inputIds.slice(before), cache); // [count, V]
  const first = cache.length - count + 1; // the position that the first of them decides
  return readRows(logits, (row) => `sequence 0 at position ${first + row}`);
}

/** A smaller model with the same vocabulary as the draft. It has a cache of its own. */
export class ModelDraft implements Draft {
  private readonly cache: GenerationCache;

  /**
   * @param capacity positions of prompt and generated tokens together
   * @param isOwner  true if the model is disposed with the draft
   */
  constructor(
    private readonly model: Llama,
    capacity: number,
    private readonly isOwner = false,
  ) {
    this.cache = model.createCache(1, capacity);
  }

  async guess(tokens: readonly number[], count: number, options: SamplingOptions): Promise<Guess[]> {
    const guesses: Guess[] = [];
    let inputIds = tokens.slice(this.cache.length);
    while (guesses.length < count) {
      const position = tokens.length + guesses.length;
      const [logits] = await readLogits(this.model.forward([inputIds], this.cache), position);
      const guess = guessFrom(logits!, position, options);
      guesses.push(guess);
      inputIds = [guess.id];
    }
    return guesses;
  }

  truncate(length: number): void {
    this.cache.truncate(length);
  }

  dispose(): void {
    this.cache.dispose();
    if (this.isOwner) this.model.dispose();
  }
}

/**
 * Prompt look-up as the draft, which needs no model (Saxena 2023): the tokens that followed the last two when they
 * occurred before. It guesses well where a text repeats itself or its prompt: summaries, code, answers about a document.
 */
export class PromptLookup implements Draft {
  guess(tokens: readonly number[], count: number): Guess[] {
    const [a, b] = tokens.slice(-2);
    for (let i = tokens.length - 2; i > 0; i--) {
      if (tokens[i - 1] !== a || tokens[i] !== b) continue;
      return tokens.slice(i + 1, i + 1 + count).map((id) => ({ id }));
    }
    return [];
  }

  truncate(): void {}

  dispose(): void {}
}
