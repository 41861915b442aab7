import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
// import { kvCacheWrite } from "../../../src/backend/kv-cache-write.js";
import { yourTurn } from "../exercise.js";

/** Keys and values of the last W positions of one layer, for calls that feed one position. */
export class SlidingWindowCache {
  readonly keys: Tensor3D; // [B*K, W, D]
  readonly values: Tensor3D; // [B*K, W, D]
  /** Positions seen so far, those that were forgotten too: where the next one stands in the text. */
  length = 0;

  constructor(rows: number, window: number, headDim: number) {
    this.keys = tf.keep(tf.zeros<tf.Rank.R3>([rows, window, headDim]));
    this.values = tf.keep(tf.zeros<tf.Rank.R3>([rows, window, headDim]));
  }

  /**
   * Stores the key and value of the next position, [B*K, 1, D] each.
   *
   * @returns those of the last min(length, W) positions, in any order
   */
  append(keys: Tensor3D, values: Tensor3D): [Tensor3D, Tensor3D] {
    yourTurn(
      `position ${this.length} has come, key [${keys.shape}] and value [${values.shape}], and there are ` +
        `${this.keys.shape[1]} slots: which one does it take, and whose place was that?`,
    );
  }

  dispose(): void {
    tf.dispose([this.keys, this.values]);
  }
}
