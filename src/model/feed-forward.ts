import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { LayerProbe } from "./probe.js";

/** The three matrices of a feed-forward network, [in, out]; Meta's w1, w3 and w2. */
export interface FeedForwardWeights {
  /** [C, F] */
  readonly gate: Tensor2D;
  /** [C, F] */
  readonly up: Tensor2D;
  /** [F, C] */
  readonly down: Tensor2D;
}

/**
 * SwiGLU feed-forward network, applied to each position on its own:
 *
 *     (silu(x · gate) ⊙ (x · up)) · down,  silu(z) = z · σ(z)
 *
 * Shazeer 2020, "GLU Variants Improve Transformer"; `FeedForward` in Meta's llama3/model.py.
 */
export class FeedForward {
  constructor(private readonly weights: FeedForwardWeights) {}

  /** @param x normalised hidden states, [B*T, C]; the result has the same shape. */
  forward(x: Tensor2D, probe?: LayerProbe): Tensor2D {
    const { gate, up, down } = this.weights;
    const inner = tf.mul(silu(tf.matMul(x, gate)), tf.matMul(x, up)); // [B*T, F]
    const output = tf.matMul<Tensor2D>(inner, down); // [B*T, C]
    probe?.("feedForward", { norm: x, output });
    return output;
  }
}

const silu = (x: Tensor2D): Tensor2D => tf.mul(x, tf.sigmoid(x));
