import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";

/** The three matrices of a feed-forward layer, [in, out]; Meta's w1, w3 and w2. */
export interface FeedForwardWeights {
  /** [C, F] */
  readonly gate: Tensor2D;
  /** [C, F] */
  readonly up: Tensor2D;
  /** [F, C] */
  readonly down: Tensor2D;
}

/**
 * SwiGLU feed-forward layer: each position on its own, wider inside, one half gating the other.
 *
 *     (silu(x · gate) ⊙ x · up) · down,  silu(z) = z · σ(z)
 *
 * Shazeer 2020, "GLU Variants Improve Transformer"; `FeedForward` in Meta's llama3/model.py.
 */
export class FeedForward {
  constructor(private readonly weights: FeedForwardWeights) {}

  /** @param x [B*T, C]; the result has the same shape. */
  forward(x: Tensor2D): Tensor2D {
    const { gate, up, down } = this.weights;
    const inside = tf.mul(silu(tf.matMul(x, gate)), tf.matMul(x, up)); // [B*T, F]
    return tf.matMul<Tensor2D>(inside, down); // [B*T, C]
  }
}

const silu = (x: Tensor2D): Tensor2D => tf.mul(x, tf.sigmoid(x));
