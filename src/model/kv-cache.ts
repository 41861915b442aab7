import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { kvCacheWrite } from "../backend/kv-cache-write.js";
import { allOrNone } from "../util/all-or-none.js";
import { checkCapacity } from "./check-input.js";
import type { ModelConfig } from "./config.js";
import { type GenerationCache, type LayerMemory, PREFILL_CHUNK } from "./generation-cache.js";

/**
 * Keys and values of all past positions, for one attention layer.
 *
 * Both tensors are allocated once, for L positions, and `append` writes new positions into them in place. Reading still
 * copies: TensorFlow.js has no views, so the slice of the S filled positions is a new tensor.
 */
export class LayerCache implements LayerMemory {
  private readonly keys: Tensor3D; // [B*K, L, D]
  private readonly values: Tensor3D; // [B*K, L, D]
  private filled = 0;

  /**
   * @param heads    B*K: every sequence has one matrix per KV head
   * @param capacity L
   */
  constructor(heads: number, capacity: number, headDim: number) {
    const allocate = () => tf.fill<tf.Rank.R3>([heads, capacity, headDim], 0); // `tf.zeros` would upload them
    const [keys, values] = tf.tidy(() => [allocate(), allocate()]); // both, or neither if memory runs out
    this.keys = tf.keep(keys!);
    this.values = tf.keep(values!);
  }

  /** Positions stored so far. */
  get length(): number {
    return this.filled;
  }

  /**
   * Stores the keys and values of the next T positions, [B*K, T, D] each.
   *
   * @returns those of all S positions so far, [B*K, S, D] each
   * @throws RangeError when they exceed the capacity
   */
  append(keys: Tensor3D, values: Tensor3D): [Tensor3D, Tensor3D] {
    const T = keys.shape[1];
    checkCapacity({ length: this.filled, capacity: this.keys.shape[1] }, T);
    kvCacheWrite(this.keys, keys, this.filled);
    kvCacheWrite(this.values, values, this.filled);
    this.filled += T;
    return this.stored();
  }

  /** Keys and values of all positions so far, [B*K, S, D] each. */
  stored(): [Tensor3D, Tensor3D] {
    const [heads, , headDim] = this.keys.shape;
    const stored = (cache: Tensor3D) => tf.slice(cache, [0, 0, 0], [heads, this.filled, headDim]);
    return [stored(this.keys), stored(this.values)];
  }

  /** Drops all positions from `length` on. */
  truncate(length: number): void {
    this.filled = Math.min(this.filled, length);
  }

  /** Frees both tensors. */
  dispose(): void {
    tf.dispose([this.keys, this.values]);
  }
}

/**
 * The plain KV cache: one `LayerCache` per layer, which keeps every position. Its length is the next position to compute,
 * and the only place that says so.
 */
export class KVCache implements GenerationCache {
  /** One per layer, first block first. */
  readonly layers: readonly LayerCache[];

  /**
   * Allocates 2 · nLayers tensors of [B*K, L, D], float32.
   *
   * @param batchSize    B: sequences generated together
   * @param capacity     L: positions to allocate memory for
   * @param prefillChunk positions that one forward pass computes, at most
   */
  constructor(
    config: Pick<ModelConfig, "nLayers" | "nKvHeads" | "headDim">,
    readonly batchSize: number,
    readonly capacity: number,
    readonly prefillChunk = PREFILL_CHUNK,
  ) {
    const { nLayers, nKvHeads: K, headDim } = config;
    this.layers = allOrNone(nLayers, () => new LayerCache(batchSize * K, capacity, headDim));
  }

  /** Positions stored so far, in every layer. */
  get length(): number {
    return this.layers[0]?.length ?? 0;
  }

  /** Drops all positions from `length` on. */
  truncate(length: number): void {
    for (const layer of this.layers) layer.truncate(length);
  }

  /** Frees every layer's tensors. */
  dispose(): void {
    for (const layer of this.layers) layer.dispose();
  }
}
