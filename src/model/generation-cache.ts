import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "./config.js";

/** A KV cache as generation sees it. */
export interface Cache {
  /** Positions seen so far; also the next position to compute. */
  readonly length: number;
  /** Positions that it accepts; Infinity if it drops old ones. */
  readonly capacity: number;
  /** B: sequences generated together. */
  readonly batchSize: number;
  /** Drops all positions from `length` on; all positions, if the state that it had then cannot be restored. */
  truncate(length: number): void;
  dispose(): void;
}

/** One layer's keys and values as attention sees them. */
export interface LayerMemory {
  /**
   * Stores the keys and values of the next T positions, [B*K, T, D] each.
   *
   * @returns those of all S positions that may be attended to, [B*K, S, D] each
   */
  append(keys: Tensor3D, values: Tensor3D): [Tensor3D, Tensor3D];
}

/**
 * The keys and values of one generation as the model sees them: the plain `KVCache`, or one of src/cache. It belongs to
 * the generation and not to the model, so one model can serve several.
 */
export interface GenerationCache extends Cache {
  /** One per layer, first block first. */
  readonly layers: readonly LayerMemory[];
  /** Positions that one forward pass computes, at most; a longer prompt is prefilled in chunks. */
  readonly prefillChunk: number;
  /**
   * Called before the layers append T positions: finds memory for them. A cache without it stores every position in
   * order, and attention is causal.
   *
   * @returns the mask for the S positions that `append` will return, [T, S]; undefined if all may be attended to
   */
  begin?(T: number): Tensor2D | undefined;
}

/** The default of `prefillChunk`: large enough for fast matmuls; attention scores of 4,096 positions still take 33 MB. */
export const PREFILL_CHUNK = 256;

/** The caches, by their names on the command line. */
export const CACHES = ["plain", "paged", "sliding", "quantized"] as const;

/** A kind of KV cache with its settings: what `createCache` needs to allocate one, and prediction to know its bytes. */
export interface CacheKind {
  readonly type: (typeof CACHES)[number];
  /** The settings in words, as in "paged, blocks of 16". */
  readonly name: string;
  /** Positions that one forward pass computes, at most. */
  readonly prefillChunk: number;
  /** Positions of a block; undefined unless paged. */
  readonly blockSize?: number;
  /** Positions at most that attention sees, however long the text is: Infinity unless old ones are dropped. */
  readonly window: number;
  /** First positions that are never dropped; undefined unless sliding. */
  readonly sinks?: number;
  /** Tensors of S positions that a layer's `append` has at its peak, for keys and values each. */
  readonly readCopies: number;
  /**
   * The largest mean KL divergence from the plain cache that is expected for texts of `positions`, in nats. 0 is an
   * exact cache: same tokens, logits equal up to rounding. Others are lossy.
   */
  maxDivergence(config: ModelConfig, positions: number): number;
  /** Bytes that a cache of `batchSize` sequences of up to `capacity` positions takes. */
  bytes(config: ModelConfig, batchSize: number, capacity: number): number;
  /** Allocates one. */
  create(config: ModelConfig, batchSize: number, capacity: number): GenerationCache;
}
