import type { Tensor2D } from "@tensorflow/tfjs-core";
import { InputError, NotFiniteError } from "../util/errors.js";

/** Options that decide how the next token is chosen from the logits. */
export interface SamplingOptions {
  /** 0 is greedy decoding; 1 samples from the model's own distribution; values between favour likely tokens. */
  readonly temperature: number;
  /** Nucleus sampling: draw from the most likely tokens that together reach this probability; 1 keeps all. */
  readonly topP: number;
  /** Top-k sampling: draw from this many of the most likely tokens, before topP; by default from all. */
  readonly topK?: number | undefined;
  /** The same seed gives the same tokens. */
  readonly seed: number;
}

/** Checks sampling options. @throws InputError for a temperature below 0, a topP outside (0, 1], a topK below 1, or a seed or topK that is no integer */
export function checkSampling({ temperature, topP, topK = 1, seed }: SamplingOptions): void {
  if (!(temperature >= 0 && temperature < Infinity)) {
    throw new InputError(`temperature must be a number >= 0, got ${temperature}`);
  }
  if (!(topP > 0 && topP <= 1)) throw new InputError(`topP must be > 0 and <= 1, got ${topP}`);
  if (!Number.isSafeInteger(topK) || topK < 1) {
    throw new InputError(`topK must be a whole number >= 1, got ${topK}`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new InputError(`seed must be a whole number >= 0, got ${seed}`);
  }
}

/**
 * Copies the logits of a forward pass to the host and frees the tensor.
 *
 * @param logits [B, V]
 * @param curPos position that they decide, for the error
 * @returns      V logits for each of B sequences
 * @throws NotFiniteError when one of them is NaN or infinite
 */
export const readLogits = (logits: Tensor2D, curPos: number): Promise<Float32Array[]> =>
  readRows(logits, (sequence) => `sequence ${sequence} at position ${curPos}`);

/** `readLogits` for any rows of logits; `nameOf` names a row in the error. */
export async function readRows(logits: Tensor2D, nameOf: (row: number) => string): Promise<Float32Array[]> {
  const [count, V] = logits.shape;
  const values = (await logits.data().finally(() => logits.dispose())) as Float32Array;
  const rows = Array.from({ length: count }, (_, i) => values.subarray(i * V, (i + 1) * V));
  checkFinite(rows.map(sumOf), nameOf);
  return rows;
}

// The sum of a row's logits is finite only if all of them are.
function checkFinite(sums: readonly number[], nameOf: (row: number) => string): void {
  const damaged = sums.findIndex((sum) => !Number.isFinite(sum));
  if (damaged < 0) return;
  throw new NotFiniteError(
    `logits must be finite, got ${sums[damaged]} in ${nameOf(damaged)}: ` +
      "the weights may be damaged, or the backend out of memory",
  );
}

/** Chooses a sequence's token at position curPos: the argmax at temperature 0, else a draw from the nucleus. */
export function sampleToken(
  logits: Float32Array,
  sequence: number,
  curPos: number,
  { temperature, topP, topK, seed }: SamplingOptions,
): number {
  if (temperature === 0) return argMax(logits);
  return sampleTopP(logits, temperature, topP, uniform(seed, sequence, curPos), topK);
}

/** Returns the index of the largest logit, the first of equals. */
export function argMax(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}

/** The tokens that sampling draws from. */
export interface Nucleus {
  /** Most likely first. */
  readonly ids: readonly number[];
  /** The tokens' probabilities times a constant, V of them by id; also of tokens outside. */
  readonly weights: Float64Array;
  /** The sum of the weights of `ids`. */
  readonly mass: number;
}

/**
 * The nucleus of one sequence's logits: the smallest set of most likely tokens whose probabilities reach topP together.
 *
 * @param topK most likely tokens of which the distribution consists, more if the last ones are equally likely
 */
export function nucleusOf(
  logits: Float32Array,
  { temperature, topP, topK = Infinity }: Omit<SamplingOptions, "seed">,
): Nucleus {
  const max = logits[argMax(logits)]!;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - max) / temperature));
  const least = topK < weights.length ? weights.toSorted().at(-topK)! : 0;
  const total = weights.reduce((sum, weight) => (weight < least ? sum : sum + weight), 0);

  // All tokens below this weight together have less than 1 - topP of the mass, so none is in the nucleus, and most of
  // 128,256 tokens need not be sorted.
  const negligible = Math.max(least, ((1 - topP) * total) / weights.length);
  const candidates = [...weights.keys()].filter((id) => weights[id]! >= negligible);
  candidates.sort((a, b) => weights[b]! - weights[a]! || a - b);

  const ids: number[] = [];
  let mass = 0;
  for (const id of candidates) {
    if (mass > topP * total) break;
    ids.push(id);
    mass += weights[id]!;
  }
  return { ids, weights, mass };
}

/**
 * Draws a token by nucleus sampling (Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration";
 * `sample_top_p` in Meta's llama3/generation.py).
 *
 * @param logits one sequence's, V of them
 * @param draw   a uniform random number in [0, 1)
 * @param topK   see `nucleusOf`
 */
export function sampleTopP(
  logits: Float32Array,
  temperature: number,
  topP: number,
  draw: number,
  topK?: number,
): number {
  const { ids, weights, mass } = nucleusOf(logits, { temperature, topP, topK });
  let left = draw * mass;
  return ids.find((id) => (left -= weights[id]!) < 0) ?? ids.at(-1)!;
}

/**
 * Returns a uniform random number in [0, 1) that depends on seed, sequence and position alone. No generator state moves
 * on with each draw, so a sequence's tokens depend neither on the other sequences nor on the order of evaluation.
 *
 * The three numbers are mixed by the finalizer of MurmurHash3 (Austin Appleby, public domain).
 */
export function uniform(seed: number, sequence: number, position: number): number {
  const high = Math.floor(seed / 2 ** 32);
  const words = [seed, high, sequence, position];
  return words.reduce((hash, word) => mix(hash ^ mix(word + 0x9e3779b9)), 0) / 2 ** 32;
}

// A for…of loop over a typed array takes ten times as long.
function sumOf(logits: Float32Array): number {
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += logits[id]!;
  return sum;
}

function mix(word: number): number {
  let hash = word | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
