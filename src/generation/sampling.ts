import { InputError } from "../util/errors.js";

/** How the next token is chosen from the logits. */
export interface SamplingOptions {
  /** 0 takes the best token; 1 samples from the model's own distribution; between, likely tokens more often. */
  readonly temperature: number;
  /** Samples only from the most likely tokens that together reach this probability; 1 leaves none out. */
  readonly topP: number;
  /** The same seed, the same tokens. */
  readonly seed: number;
}

/** @throws InputError for a temperature below 0, a topP outside (0, 1], or a seed that is not a whole number */
export function checkSampling({ temperature, topP, seed }: SamplingOptions): void {
  if (!(temperature >= 0 && temperature < Infinity)) {
    throw new InputError(`temperature is ${temperature}, expected a number from 0 up`);
  }
  if (!(topP > 0 && topP <= 1))
    throw new InputError(`topP is ${topP}, expected a number above 0 and at most 1`);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new InputError(`seed is ${seed}, expected a whole number from 0 up`);
}

/** The index of the largest logit; the first of equals. */
export function argMax(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}

/** Whether all scores are finite numbers: their sum is none as soon as one is none. */
export function allFinite(logits: Float32Array): boolean {
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += logits[id]!; // for…of takes ten times as long over a typed array
  return Number.isFinite(sum);
}

/**
 * Draws a token by nucleus sampling (Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration";
 * `sample_top_p` in Meta's llama3/generation.py): from the smallest set of most likely tokens whose probabilities
 * reach topP together.
 *
 * @param logits one row's, V of them
 * @param draw   a uniform random number in [0, 1)
 */
export function sampleTopP(logits: Float32Array, temperature: number, topP: number, draw: number): number {
  const max = logits[argMax(logits)]!;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - max) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);

  // Tokens below this weight do not reach 1 - topP even all together, so none of them is in the nucleus, and
  // most of 128,256 tokens need not be sorted.
  const negligible = ((1 - topP) * total) / weights.length;
  const candidates = [...weights.keys()].filter((id) => weights[id]! >= negligible);
  candidates.sort((a, b) => weights[b]! - weights[a]! || a - b);

  const nucleus: number[] = [];
  let mass = 0;
  for (const id of candidates) {
    if (mass > topP * total) break;
    nucleus.push(id);
    mass += weights[id]!;
  }
  let left = draw * mass;
  return nucleus.find((id) => (left -= weights[id]!) < 0) ?? nucleus.at(-1)!;
}

/**
 * A uniform random number in [0, 1), decided by the seed, the row and the position alone. There is no generator whose
 * state moves on with every draw, so a row's tokens depend neither on the other rows nor on the order of the work.
 *
 * The three numbers are mixed by the finalizer of MurmurHash3 (Austin Appleby, public domain).
 */
export function uniform(seed: number, row: number, position: number): number {
  const high = Math.floor(seed / 2 ** 32);
  const words = [seed, high, row, position];
  return words.reduce((hash, word) => mix(hash ^ mix(word + 0x9e3779b9)), 0) / 2 ** 32;
}

function mix(word: number): number {
  let hash = word | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
