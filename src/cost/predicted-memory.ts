import type { Device } from "../backend/backend.js";
import { cacheBytes, FLOAT32, weightBytes } from "./cost.js";
import type { ModelConfig } from "../model/config.js";
import { bucketFor, graphCapacity } from "../model/buckets.js";
import { type CacheKind, PREFILL_CHUNK } from "../model/generation-cache.js";

/** Peak memory of a generation in bytes, by use. */
export interface PredictedMemory {
  readonly weights: number;
  readonly cache: number;
  /** Activations that exist at the same time, at the peak over all steps. */
  readonly activations: number;
}

/**
 * Peak memory of the weights, as a multiple of their float32 size. A graph takes them over group by group, so that they are
 * in memory once; as bfloat16, a GPU has half. Elsewhere the file may be float32, and is counted as that. Weights that were
 * not read for graph mode are rounded to bfloat16 from float32: half a copy more.
 *
 * @param readForGraph false for weights that did not come from a file, such as random ones
 */
export function weightCopies(
  graphMode: boolean,
  bfloat16 = false,
  readForGraph = true,
  device: Device = "cpu",
): number {
  if (!graphMode || !bfloat16) return 1;
  if (!readForGraph) return 1.5;
  return device === "cuda" ? 0.5 : 1;
}

/** Sizes that determine the memory of a generation. */
export interface GenerationSize {
  /** Sequences. */
  readonly batch: number;
  /** Prompt tokens of each sequence that are computed. */
  readonly input: number;
  /** Tokens generated for each. */
  readonly output: number;
  readonly useCache: boolean;
  /** Positions that the cache holds already. */
  readonly past?: number;
  /** The kind of the cache; by default the plain one. */
  readonly cacheKind?: CacheKind | undefined;
  /** Positions that the cache accepts; by default as many as the generation needs. */
  readonly capacity?: number | undefined;
  /** Copies of the weights in memory; see `weightCopies`. */
  readonly copies?: number;
  /** In graph mode, positions of a prompt that one call computes, at most; see `Model`. */
  readonly longestChunk?: number | undefined;
}

/** Predicts the peak memory of a generation. `activations` is the peak over all steps. */
export function predictMemory(config: ModelConfig, size: GenerationSize): PredictedMemory {
  const { batch, input, output, useCache, cacheKind, past = 0, copies = 1 } = size;
  const steps = largestSteps(size).map(([T, S]) => activationBytes(config, batch, T, S, useCache, cacheKind));
  const cached = bytesOfKind(cacheKind)(config, batch, past + input + output);
  return {
    weights: copies * weightBytes(config),
    cache: useCache ? cached : 0,
    activations: Math.max(...steps),
  };
}

/** The function that gives the bytes of a kind of cache; by default of the plain one. */
export const bytesOfKind = (kind: CacheKind | undefined): CacheKind["bytes"] =>
  kind ? (...sizes) => kind.bytes(...sizes) : cacheBytes;

/** Elements of a generation's largest tensor: the attention scores. */
export function largestTensor({ nHeads: H }: ModelConfig, size: GenerationSize): number {
  return Math.max(...largestSteps(size).map(([T, S]) => size.batch * H * T * S));
}

/**
 * T and S of the steps that may be the largest of a generation. With the cache, a prompt goes in chunks; in graph mode they
 * are powers of two, and each call reads a bucket of the plain cache, or all of another one.
 */
function largestSteps(size: GenerationSize): [T: number, S: number][] {
  const { input, output, useCache, cacheKind, past = 0, longestChunk } = size;
  const first = past + input; // positions seen by the first step
  const last = first + output - 1; // and by the last one; the token that it decides is never an input
  if (!useCache) return [[last, last]];
  const chunk = Math.min(input, cacheKind?.prefillChunk ?? PREFILL_CHUNK, longestChunk ?? Infinity);
  if (longestChunk === undefined) {
    return [
      [chunk, first],
      [1, last],
    ];
  }
  const capacity = graphCapacity(size.capacity ?? first + output);
  const { type = "plain", window = Infinity, prefillChunk = 0 } = cacheKind ?? {};
  const readBy = (end: number) =>
    type === "plain" ? bucketFor(end, capacity) : Math.min(capacity, window + prefillChunk);
  return [
    [2 ** Math.floor(Math.log2(chunk)), readBy(first)],
    [1, readBy(last)],
  ];
}

/**
 * Bytes of the activations that exist at the same time in a forward pass over T positions that attends to S.
 *
 * A `tf.tidy` closes around each half of a block, so the peak is at the end of one half, when all its tensors are still
 * alive beside rotation and mask; or at the LM head, for large batches of few positions. Each term below is a tensor.
 * Reshaped views count, as in TensorFlow.js, although they share memory: the process takes less.
 */
export function activationBytes(
  config: ModelConfig,
  B: number,
  T: number,
  S: number,
  useCache: boolean,
  cacheKind?: CacheKind,
): number {
  if (cacheKind) S = Math.min(S, cacheKind.window + cacheKind.prefillChunk);
  const { hiddenSize: C, nHeads: H, nKvHeads: K, headDim: D, intermediateSize: F, vocabSize: V } = config;
  const rows = B * T; // of the residual stream
  const norm = 3 * rows * (C + 1); // x², x/√, · weight; mean, + eps, 1/√
  const split = T > 1 ? 4 : 2; // as projected, by position, by head, stacked
  const rotated = 5; // two halves, swapped, · cos, · sin, sum
  const attention =
    rows * C + // the block's input
    norm +
    (split + rotated + 2) * rows * H * D + // queries; scaled, grouped
    (split + rotated) * rows * K * D + // keys
    split * rows * K * D + // values
    (useCache ? 2 * (cacheKind?.readCopies ?? 1) * B * K * S * D : 0) + // keys and values returned by the cache
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
