import { cacheBytes, FLOAT32, weightBytes } from "./cost.js";
import type { Device } from "../backend/backend.js";
import type { ModelConfig } from "../model/config.js";

/** Bytes that a generation needs at its peak, by what needs them. */
export interface PredictedMemory {
  readonly weights: number;
  readonly cache: number;
  /** The largest set of intermediate results that exist at one time. */
  readonly activations: number;
}

/**
 * How often the weights of a model are held at the peak, in float32: a recorded one's graph takes them over while the
 * backend still has them. On a processor the two share them, unless they are rounded to bfloat16, in half the
 * memory. (When it is recorded anew for other sizes, they are copied once more.)
 */
export function weightCopies(recorded: boolean, device: Device | undefined, bfloat16 = false): number {
  if (!recorded) return 1;
  return bfloat16 ? 1.5 : device === "cuda" ? 2 : 1;
}

/** What the memory of a generation depends on, besides the model. */
export interface GenerationSize {
  /** Rows. */
  readonly batch: number;
  /** Tokens of each prompt that are fed. */
  readonly input: number;
  /** Tokens generated for each. */
  readonly output: number;
  readonly useCache: boolean;
  /** Positions that a cache from before holds. */
  readonly past?: number;
  /** How often the weights are held; see `weightCopies`. */
  readonly copies?: number;
}

/** Predicts the live bytes at the peak of a generation; its activations are those of the hungriest step. */
export function predictMemory(config: ModelConfig, size: GenerationSize): PredictedMemory {
  const { batch, input, output, useCache, past = 0, copies = 1 } = size;
  const first = past + input; // positions seen by the first step
  const last = first + output - 1; // and by the last one; the token that it chooses is never fed
  const step = (T: number, S: number) => activationBytes(config, batch, T, S, useCache);
  return {
    weights: copies * weightBytes(config),
    cache: useCache ? cacheBytes(config, batch, first + output) : 0,
    activations: useCache ? Math.max(step(input, first), step(1, last)) : step(last, last),
  };
}

/**
 * Bytes of the intermediate results that exist at one time in a call that feeds T positions and attends to S.
 *
 * A `tf.tidy` closes around each half of a block, so the peak is the end of one half, when all that it made is still
 * there, next to the rotation and the mask; or the output head, for many rows of few positions. Each term below is a
 * tensor that the half makes. Reshaped views are counted, as TensorFlow.js counts them, although they share their
 * memory: the process takes less.
 */
export function activationBytes(
  config: ModelConfig,
  B: number,
  T: number,
  S: number,
  useCache: boolean,
): number {
  const { hiddenSize: C, nHeads: H, nKvHeads: K, headDim: D, intermediateSize: F, vocabSize: V } = config;
  const rows = B * T;
  const norm = 3 * rows * (C + 1); // x², x/√, · weight; mean, + eps, 1/√
  const split = T > 1 ? 4 : 2; // as projected, by position, by head, stacked
  const rotated = 5; // two halves, swapped, · cos, · sin, sum
  const attention =
    rows * C + // the block's input
    norm +
    (split + rotated + 2) * rows * H * D + // queries; scaled, grouped
    (split + rotated) * rows * K * D + // keys
    split * rows * K * D + // values
    (useCache ? 2 * B * K * S * D : 0) + // keys and values as the cache returns them
    (T > 1 ? 5 : 2) * B * H * T * S + // scores, by head, masked, grouped, softmax
    split * rows * H * D + // mixed values, joined
    2 * rows * C; // · wo, sum
  const feedForward =
    2 * rows * C + // the block's input, and what attention made of it
    norm +
    5 * rows * F + // gate, σ, silu, up, product
    2 * rows * C; // · down, sum
  const mask = T > 1 ? 2.25 * T * S + 2 * (T + S) : 0; // compared, as a number, · -1e9; both ranges
  const positions = rows + 2 * T * D + mask; // ids; cos and sin
  return FLOAT32 * (positions + Math.max(attention, feedForward, 2 * B * V));
}
