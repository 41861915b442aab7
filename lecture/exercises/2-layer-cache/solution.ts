import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { kvCacheWrite } from "../../../src/backend/kv-cache-write.js";

/** Keys and values of the past positions of one attention layer. */
export class LayerCache {
  readonly keys: Tensor3D; // [B*K, L, D]
  readonly values: Tensor3D; // [B*K, L, D]
  /** Positions stored so far. */
  length = 0;

  constructor(BK: number, capacity: number, headDim: number) {
    this.keys = tf.keep(tf.zeros<tf.Rank.R3>([BK, capacity, headDim]));
    this.values = tf.keep(tf.zeros<tf.Rank.R3>([BK, capacity, headDim]));
  }

  /**
   * Stores the keys and values of the next T positions, [B*K, T, D] each.
   *
   * @returns those of all S positions so far, [B*K, S, D] each
   */
  append(keys: Tensor3D, values: Tensor3D): [Tensor3D, Tensor3D] {
    // BEGIN SOLUTION
    // START: // kvCacheWrite(cache, update, position) writes update [B*K, T, D] into cache [B*K, L, D] in place
    // START: todo("Write the keys and values at position this.length, add T to it, return the filled parts.");
    const [BK, , headDim] = this.keys.shape;
    kvCacheWrite(this.keys, keys, this.length);
    kvCacheWrite(this.values, values, this.length);
    this.length += keys.shape[1];
    const filled = (cache: Tensor3D) => tf.slice(cache, [0, 0, 0], [BK, this.length, headDim]); // [B*K, S, D]
    return [filled(this.keys), filled(this.values)];
    // END SOLUTION
  }

  dispose(): void {
    tf.dispose([this.keys, this.values]);
  }
}
