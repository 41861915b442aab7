import type { ModelConfig } from "../model/config.js";

/** Bytes of a float32 number, the dtype of everything unless stated otherwise. */
export const FLOAT32 = 4;

/** Parameters of a block's matrices: wq and wo, wk and wv, gate, up and down. */
function blockMatrices(config: ModelConfig): number {
  const { hiddenSize: C, nHeads: H, nKvHeads: K, headDim: D, intermediateSize: F } = config;
  return 2 * C * H * D + 2 * C * K * D + 3 * C * F;
}

/** Number of parameters of a model; a tied LM head counts once. */
export function parameterCount(config: ModelConfig): number {
  const { hiddenSize: C, nLayers, vocabSize: V } = config;
  const norms = 2 * C;
  const heads = config.tieWordEmbeddings ? 1 : 2;
  return heads * V * C + nLayers * (blockMatrices(config) + norms) + C;
}

/** Bytes of the weights in float32. */
export function weightBytes(config: ModelConfig): number {
  return parameterCount(config) * FLOAT32;
}

/**
 * Bytes of a KV cache for `batchSize` sequences of `capacity` positions:
 *
 *     2 (key and value) · layers · sequences · KV heads · positions · head dim · 4
 */
export function cacheBytes(config: ModelConfig, batchSize: number, capacity: number): number {
  const { nLayers, nKvHeads: K, headDim: D } = config;
  return 2 * nLayers * batchSize * K * capacity * D * FLOAT32;
}

/** Arithmetic and memory traffic of one step. Norms, RoPE and softmax are left out: their share is small. */
export interface StepCost {
  /** Floating-point operations of the matmuls; a multiply-add counts as two. */
  readonly flops: number;
  /** Weights read: each matrix once, whatever the batch size, and the embeddings of the input ids. */
  readonly weightBytes: number;
  /** Keys and values read from the cache: those of all S positions. 0 without the cache. */
  readonly cacheBytesRead: number;
  /** Keys and values written to the cache: those of the T new positions. 0 without the cache. */
  readonly cacheBytesWritten: number;
  /**
   * K/V pairs computed in this step. A pair is the key and the value of one position, D numbers each, in one layer, KV
   * head and sequence.
   */
  readonly kvPairsComputed: number;
  /** K/V pairs read from the cache instead: those of the S - T past positions. 0 without the cache. */
  readonly kvPairsReused: number;
}

/**
 * Cost of one forward pass, computed from the configuration alone.
 *
 * @param T positions computed for each sequence
 * @param S positions attended to, including these T; without the cache S = T
 * @throws RangeError for values of T and S that no step has
 */
export function stepCost(
  config: ModelConfig,
  batchSize: number,
  T: number,
  S: number,
  useCache: boolean,
): StepCost {
  if (!(T >= 1 && S >= T && (useCache || S === T))) {
    const rule = useCache ? "1 ≤ T ≤ S" : "1 ≤ T = S without the cache";
    throw new RangeError(`a step must have ${rule}, got T = ${T}, S = ${S}`);
  }
  const { hiddenSize: C, nLayers, nHeads: H, nKvHeads: K, headDim: D, vocabSize: V } = config;
  const B = batchSize;
  const linear = blockMatrices(config);
  const attention = 2 * H * S * D; // multiply-adds of one position: q · kᵀ, weights · values
  const perPosition = nLayers * (linear + attention);
  const kvPairs = (positions: number) => B * nLayers * K * positions;
  const kvBytes = (positions: number) => (useCache ? kvPairs(positions) * 2 * D * FLOAT32 : 0);
  return {
    flops: 2 * B * (T * perPosition + C * V), // only the last position goes through the LM head
    weightBytes: FLOAT32 * (nLayers * (linear + 2 * C) + C + V * C + B * T * C),
    cacheBytesRead: kvBytes(S),
    cacheBytesWritten: kvBytes(T),
    kvPairsComputed: kvPairs(T),
    kvPairsReused: kvPairs(S - T),
  };
}

/** Total cost of a generation. */
export interface GenerationCost extends StepCost {
  /** K/V pairs computed again although an earlier step had computed them. 0 with the cache. */
  readonly kvPairsRecomputed: number;
  /** One per generated token; the first is the prefill. */
  readonly steps: readonly StepCost[];
}

/** Cost of generating `output` tokens after prompts of `input` tokens, for each of `batchSize` sequences. */
export function generationCost(
  config: ModelConfig,
  batchSize: number,
  input: number,
  output: number,
  useCache: boolean,
): GenerationCost {
  const steps = stepSizes(input, output, useCache).map(([T, S]) =>
    stepCost(config, batchSize, T, S, useCache),
  );
  const sum = (of: (step: StepCost) => number) => steps.reduce((total, step) => total + of(step), 0);
  const kvPairsComputed = sum((step) => step.kvPairsComputed);
  const needed = batchSize * config.nLayers * config.nKvHeads * (input + output - 1); // each pair once
  return {
    flops: sum((step) => step.flops),
    weightBytes: sum((step) => step.weightBytes),
    cacheBytesRead: sum((step) => step.cacheBytesRead),
    cacheBytesWritten: sum((step) => step.cacheBytesWritten),
    kvPairsComputed,
    kvPairsReused: sum((step) => step.kvPairsReused),
    kvPairsRecomputed: kvPairsComputed - needed,
    steps,
  };
}

/**
 * Arithmetic intensity: FLOPs per byte of weights and cache moved. Below the ratio of a machine's peak FLOPs to its
 * memory bandwidth, a step is memory-bandwidth bound (Williams et al. 2009, "Roofline").
 */
export function arithmeticIntensity(cost: StepCost): number {
  return cost.flops / (cost.weightBytes + cost.cacheBytesRead + cost.cacheBytesWritten);
}

/** T and S of every step of a generation. The token that the last step decides is never an input. */
export function stepSizes(input: number, output: number, useCache: boolean): [T: number, S: number][] {
  return Array.from({ length: output }, (_, i) => {
    const S = input + i;
    return [useCache && i > 0 ? 1 : S, S];
  });
}
