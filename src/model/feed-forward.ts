import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { linear } from "./linear.js";

/** The three matrices of a feed-forward layer; Meta's w1, w3 and w2. */
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

  /** @param x [B, T, C]; the result has the same shape. */
  forward(x: Tensor3D): Tensor3D {
    const { gate, up, down } = this.weights;
    return linear(tf.mul(silu(linear(x, gate)), linear(x, up)), down); // [B, T, F] inside
  }
}

const silu = (x: Tensor3D): Tensor3D => tf.mul(x, tf.sigmoid(x));
