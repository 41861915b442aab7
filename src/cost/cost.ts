import type { ModelConfig } from "../model/config.js";

/** Bytes of a float32 number; everything is computed and held in float32. */
export const FLOAT32 = 4;

/** How many parameters a model of this configuration has; a tied output head counts once. */
export function parameterCount(config: ModelConfig): number {
  const {
    hiddenSize: C,
    nLayers,
    nHeads: H,
    nKvHeads: K,
    headDim: D,
    intermediateSize: F,
    vocabSize: V,
  } = config;
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

/** What one step computes and moves. The work of the norms, the rotation and softmax is not counted: it is small. */
export interface StepCost {
  /** Floating-point operations in products of matrices; a multiplication and its addition are two. */
  readonly flops: number;
  /** Weights read: each matrix once, however many rows share it, and of the embedding the vectors of the fed tokens. */
  readonly weightBytes: number;
  /** Keys and values read from the cache: those of all S positions. 0 without the cache. */
  readonly cacheBytesRead: number;
  /** Keys and values written to the cache: those of the T fed positions. 0 without the cache. */
  readonly cacheBytesWritten: number;
  /**
   * K/V rows made in this step. A K/V row is the key and the value, D numbers each, of one position: of each there is
   * one a layer, key/value head and row of the batch.
   */
  readonly kvRowsComputed: number;
  /** K/V rows found in the cache instead: those of the S - T past positions. 0 without the cache. */
  readonly kvRowsReused: number;
}

/**
 * What a call of `Llama.forward` costs, from the configuration alone.
 *
 * @param T positions fed in this call, for each row of the batch
 * @param S positions attended to, the T among them; without the cache S = T
 * @throws RangeError for T and S that no step has
 */
export function stepCost(
  config: ModelConfig,
  batchSize: number,
  T: number,
  S: number,
  useCache: boolean,
): StepCost {
  if (!(T >= 1 && S >= T && (useCache || S === T))) {
    const expected = useCache ? "1 ≤ T ≤ S" : "1 ≤ T = S without the cache";
    throw new RangeError(`no step feeds T = ${T} positions and attends to S = ${S}, expected ${expected}`);
  }
  const {
    hiddenSize: C,
    nLayers,
    nHeads: H,
    nKvHeads: K,
    headDim: D,
    intermediateSize: F,
    vocabSize: V,
  } = config;
  const B = batchSize;
  const linear = 2 * C * H * D + 2 * C * K * D + 3 * C * F; // numbers in a block's matrices: wq and wo, wk and wv, FFN
  const attention = 2 * H * S * D; // of one position: queries · keys, weights · values
  const perPosition = nLayers * (linear + attention);
  const kvRows = (positions: number) => B * nLayers * K * positions;
  const kvBytes = (positions: number) => (useCache ? kvRows(positions) * 2 * D * FLOAT32 : 0);
  return {
    flops: 2 * B * (T * perPosition + C * V), // only the last position goes through the output head
    weightBytes: FLOAT32 * (nLayers * (linear + 2 * C) + C + V * C + B * T * C),
    cacheBytesRead: kvBytes(S),
    cacheBytesWritten: kvBytes(T),
    kvRowsComputed: kvRows(T),
    kvRowsReused: kvRows(S - T),
  };
}

/** What all steps of a generation cost together. */
export interface GenerationCost extends StepCost {
  /** Of the computed K/V rows, those that an earlier step had computed already. 0 with the cache. */
  readonly kvRowsRecomputed: number;
  /** One a generated token; the first feeds the prompt. */
  readonly steps: readonly StepCost[];
}

/** The cost of generating `output` tokens after prompts of `input` tokens, for each row of the batch. */
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
  const kvRowsComputed = sum((step) => step.kvRowsComputed);
  const needed = batchSize * config.nLayers * config.nKvHeads * (input + output - 1); // each position's once
  return {
    flops: sum((step) => step.flops),
    weightBytes: sum((step) => step.weightBytes),
    cacheBytesRead: sum((step) => step.cacheBytesRead),
    cacheBytesWritten: sum((step) => step.cacheBytesWritten),
    kvRowsComputed,
    kvRowsReused: sum((step) => step.kvRowsReused),
    kvRowsRecomputed: kvRowsComputed - needed,
    steps,
  };
}

/**
 * Arithmetic intensity: operations for each byte that must come from memory, weights and cache. A machine that can do
 * more operations in the time of a byte waits for its memory.
 */
export function arithmeticIntensity(cost: StepCost): number {
  return cost.flops / (cost.weightBytes + cost.cacheBytesRead + cost.cacheBytesWritten);
}

/** T and S of every step of a generation; the token that the last step chooses is never fed. */
export function stepSizes(input: number, output: number, useCache: boolean): [T: number, S: number][] {
  return Array.from({ length: output }, (_, i) => {
    const S = input + i;
    return [useCache && i > 0 ? 1 : S, S];
  });
}
