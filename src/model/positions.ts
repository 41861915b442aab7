import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { Rotation } from "./rotary-embedding.js";

/** The positions that a forward pass computes; the same for every layer. */
export interface Positions {
  /** Number of positions computed for each sequence. */
  readonly T: number;
  /** RoPE tables of these positions. */
  readonly rotation: Rotation;
  /** Added to the attention scores, [T, S]; undefined where every position may be attended to. */
  readonly mask: Tensor2D | undefined;
}

/**
 * The causal mask: 0 where a query may attend to key position s, that is s ≤ its own position, and a number that
 * softmax turns into 0 where it may not.
 *
 * @param positions of the queries, [T]
 * @returns         [T, S]
 */
export function causalMask(positions: Tensor1D, S: number): Tensor2D {
  const query = tf.reshape(positions, [-1, 1]); // [T, 1]
  const key = tf.reshape(tf.range(0, S), [1, S]);
  return tf.mul(tf.cast(tf.greater(key, query), "float32"), -1e9);
}
