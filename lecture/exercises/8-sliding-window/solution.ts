import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { kvCacheWrite } from "../../../src/backend/kv-cache-write.js";

/** Keys and values of the last W positions of one layer, for calls with one position. */
export class SlidingWindowCache {
  readonly keys: Tensor3D; // [B*K, W, D]
  readonly values: Tensor3D; // [B*K, W, D]
  /** Number of positions so far, including overwritten ones: the position of the next token. */
  length = 0;

  constructor(BK: number, window: number, headDim: number) {
    this.keys = tf.keep(tf.zeros<tf.Rank.R3>([BK, window, headDim]));
    this.values = tf.keep(tf.zeros<tf.Rank.R3>([BK, window, headDim]));
  }

  /**
   * Stores the key and value of the next position, [B*K, 1, D] each.
   *
   * @returns those of the last min(length, W) positions, in any order
   */
  append(keys: Tensor3D, values: Tensor3D): [Tensor3D, Tensor3D] {
    // BEGIN SOLUTION
    // START: // kvCacheWrite(cache, update, slot) writes update [B*K, 1, D] into cache [B*K, W, D] in place
    // START: todo(`Which of ${this.keys.shape[1]} slots does position ${this.length} overwrite?`);
    const [BK, window, headDim] = this.keys.shape;
    const slot = this.length % window;
    kvCacheWrite(this.keys, keys, slot);
    kvCacheWrite(this.values, values, slot);
    this.length++;
    const filled = Math.min(this.length, window);
    const read = (cache: Tensor3D) => tf.slice(cache, [0, 0, 0], [BK, filled, headDim]);
    return [read(this.keys), read(this.values)];
    // END SOLUTION
  }

  dispose(): void {
    tf.dispose([this.keys, this.values]);
  }
}
