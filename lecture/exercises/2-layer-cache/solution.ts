import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { kvCacheWrite } from "../../../src/backend/kv-cache-write.js";

/** The keys and values that one attention layer has already computed. */
export class LayerCache {
  readonly keys: Tensor3D; // [B*K, L, D]
  readonly values: Tensor3D; // [B*K, L, D]
  /** Positions stored so far. */
  length = 0;

  constructor(rows: number, maxSeqLen: number, headDim: number) {
    this.keys = tf.keep(tf.zeros<tf.Rank.R3>([rows, maxSeqLen, headDim]));
    this.values = tf.keep(tf.zeros<tf.Rank.R3>([rows, maxSeqLen, headDim]));
  }

  /**
   * Stores the keys and values of the next T positions, [B*K, T, D] each.
   *
   * @returns those of all S positions so far, [B*K, S, D] each
   */
  append(keys: Tensor3D, values: Tensor3D): [Tensor3D, Tensor3D] {
    const [rows, , headDim] = this.keys.shape;
    kvCacheWrite(this.keys, keys, this.length);
    kvCacheWrite(this.values, values, this.length);
    this.length += keys.shape[1];
    const filled = (cache: Tensor3D) => tf.slice(cache, [0, 0, 0], [rows, this.length, headDim]); // [B*K, S, D]
    return [filled(this.keys), filled(this.values)];
  }

  dispose(): void {
    tf.dispose([this.keys, this.values]);
  }
}
