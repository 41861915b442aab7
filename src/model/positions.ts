import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { Rotation } from "./rotary-embedding.js";

/** The positions that a forward pass computes; the same for every layer. */
export interface Positions {
  /** Number of positions computed for each sequence. */
  readonly T: number;
  /** RoPE tables of these positions. */
  readonly rotation: Rotation;
  /** Added to the attention scores, [T, S], or [B, 1, T, S] if sequences differ; undefined if nothing is hidden. */
  readonly mask: Tensor | undefined;
}

/**
 * The mask of a call that computes positions start … start+T-1 after all before them.
 *
 * @param window see `ModelConfig.slidingWindow`
 * @returns      [T, start+T]; undefined for a single position that may attend to all
 */
export function attentionMask(start: number, T: number, window = Infinity): Tensor2D | undefined {
  const end = start + T;
  return T > 1 || end > window ? causalMask(tf.range(start, end), end, window) : undefined;
}

/**
 * The causal mask: 0 where a query may attend to key position s, that is s ≤ its own position, and a number that
 * softmax turns into 0 where it may not.
 *
 * @param positions of the queries, [T]
 * @param window    hides keys that are `window` or more positions before a query
 * @returns         [T, S]
 */
export function causalMask(positions: Tensor1D, S: number, window = Infinity): Tensor2D {
  const query = tf.reshape(positions, [-1, 1]); // [T, 1]
  const key = tf.reshape(tf.range(0, S), [1, S]);
  const hide = (hidden: Tensor) => tf.mul<Tensor2D>(tf.cast(hidden, "float32"), -1e9);
  const later = hide(tf.greater(key, query)); // [T, S]
  return window < Infinity ? tf.add(later, hide(tf.greater(query, tf.add(key, window - 1)))) : later;
}
