import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { inOneCall } from "../backend/in-one-call.js";

/**
 * Root mean square normalisation: scales each position's hidden state to a mean square of 1, then by a learned weight.
 *
 *     x / √(mean(x²) + eps) · weight
 *
 * Zhang and Sennrich 2019, "Root Mean Square Layer Normalization"; `RMSNorm` in Meta's llama3/model.py.
 */
export class RMSNorm {
  /** @param weight one factor per channel, [C] */
  constructor(
    private readonly weight: Tensor1D,
    private readonly eps: number,
  ) {}

  /** @param x [B*T, C]; the result has the same shape. */
  forward(x: Tensor2D): Tensor2D {
    return inOneCall("RMSNorm", { x, weight: this.weight }, { eps: this.eps }, () => {
      const meanSquare = tf.mean(tf.square(x), -1, true); // [B*T, 1]
      const normed = tf.mul(x, tf.rsqrt(tf.add(meanSquare, this.eps)));
      return tf.mul(normed, this.weight);
    });
  }
}
