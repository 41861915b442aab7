import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
// You will want this: kvCacheWrite(cache, update, position) writes [R, T, D] into [R, L, D] in place.
// import { kvCacheWrite } from "../../../src/backend/kv-cache-write.js";
import { yourTurn } from "../exercise.js";

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
    yourTurn(
      `${this.length} positions are filled; write keys [${keys.shape}] and values [${values.shape}] behind them, ` +
        "count them, and return what is filled of both tensors",
    );
  }

  dispose(): void {
    tf.dispose([this.keys, this.values]);
  }
}
