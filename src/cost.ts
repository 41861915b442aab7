import type { ModelConfig } from "./model/config.js";

/** Bytes of a float32 number; everything is computed and held in float32. */
const FLOAT32 = 4;

/** How many parameters a model of this configuration has; a tied output head counts once. */
export function parameterCount(config: ModelConfig): number {
  const { dim: C, nLayers, nHeads: H, nKvHeads: K, headDim: D, hiddenDim: F, vocabSize: V } = config;
  const attention = C * H * D + 2 * C * K * D + H * D * C;
  const feedForward = 3 * C * F;
  const norms = 2 * C;
  const heads = config.tieWordEmbeddings ? 1 : 2;
  return heads * V * C + nLayers * (attention + feedForward + norms) + C;
}

/** Bytes of the weights in memory. */
export function weightBytes(config: ModelConfig): number {
  return parameterCount(config) * FLOAT32;
}

/** Bytes of a KV cache for `batchSize` rows of `maxSeqLen` positions: keys and values of every layer. */
export function cacheBytes(config: ModelConfig, batchSize: number, maxSeqLen: number): number {
  const { nLayers, nKvHeads: K, headDim: D } = config;
  return 2 * nLayers * batchSize * K * maxSeqLen * D * FLOAT32;
}
