import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { kvCacheWrite } from "../backend/kv-cache-write.js";
import type { ModelConfig } from "./config.js";

/**
 * The keys and values that one attention layer has already computed.
 *
 * Both tensors are allocated once, with room for L positions. `append` writes new positions into them in place and
 * returns the filled part, so a step costs T new rows and not a copy of the past's.
 */
export class LayerCache {
  private readonly keys: Tensor3D; // [B*K, L, D]
  private readonly values: Tensor3D; // [B*K, L, D]
  private filled = 0;

  /** @param rows B*K: every sequence has one row a key/value head */
  constructor(rows: number, maxSeqLen: number, headDim: number) {
    const room = () => tf.fill<tf.Rank.R3>([rows, maxSeqLen, headDim], 0); // `tf.zeros` would be sent there
    const [keys, values] = tf.tidy(() => [room(), room()]); // both, or where memory ends none
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
   * @throws RangeError when the cache has no room for them
   */
  append(keys: Tensor3D, values: Tensor3D): [Tensor3D, Tensor3D] {
    const [rows, maxSeqLen, headDim] = this.keys.shape;
    const end = this.filled + keys.shape[1];
    if (end > maxSeqLen) {
      throw new RangeError(`the KV cache has room for ${maxSeqLen} positions, position ${end} was asked for`);
    }
    kvCacheWrite(this.keys, keys, this.filled);
    kvCacheWrite(this.values, values, this.filled);
    this.filled = end;
    const upToNow = (cache: Tensor3D) => tf.slice(cache, [0, 0, 0], [rows, end, headDim]); // [B*K, S, D]
    return [upToNow(this.keys), upToNow(this.values)];
  }

  /** Forgets all positions from `length` on, where there are any. */
  truncate(length: number): void {
    this.filled = Math.min(this.filled, length);
  }

  /** Frees both tensors. */
  dispose(): void {
    tf.dispose([this.keys, this.values]);
  }
}

/** What attention asks of a layer's cache; one that only records operations can stand in for it. */
export type LayerMemory = Pick<LayerCache, "append">;

/**
 * The KV cache of one generation: one `LayerCache` a layer. It belongs to whoever generates, never to the model, so
 * that one model can serve several generations. Where the next token goes is the cache's length, kept nowhere else.
 */
export class KVCache {
  /** One a layer, first block first. */
  readonly layers: readonly LayerCache[];

  /**
   * Allocates 2 · nLayers tensors of [B*K, L, D] float32.
   *
   * @param batchSize B: sequences generated together
   * @param maxSeqLen L: positions to make room for
   */
  constructor(
    config: Pick<ModelConfig, "nLayers" | "nKvHeads" | "headDim">,
    readonly batchSize: number,
    readonly maxSeqLen: number,
  ) {
    const { nLayers, nKvHeads, headDim } = config;
    const layers: LayerCache[] = [];
    try {
      while (layers.length < nLayers) layers.push(new LayerCache(batchSize * nKvHeads, maxSeqLen, headDim));
    } catch (error) {
      for (const layer of layers) layer.dispose(); // the backend's memory ends here: nothing stays in it
      throw error;
    }
    this.layers = layers;
  }

  /** Positions stored so far, in every layer. */
  get length(): number {
    return this.layers[0]?.length ?? 0;
  }

  /** Forgets all positions from `length` on. */
  truncate(length: number): void {
    for (const layer of this.layers) layer.truncate(length);
  }

  /** Frees every layer's tensors. */
  dispose(): void {
    for (const layer of this.layers) layer.dispose();
  }
}
