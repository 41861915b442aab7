import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";

/**
 * What greedy decoding needs to know of the scores: the best token of each row, the first of equals, and the sum of
 * the row's scores, which is no finite number when one of them is none. So two numbers a row leave a recorded graph,
 * and not V: at batch 16 and 128,256 tokens 128 bytes, and not 8 MB.
 *
 * @param logits [B, V]
 * @returns      [B, 2]: id, which float32 holds exactly up to 2^24, and sum
 */
export function greedyChoice(logits: Tensor2D): Tensor2D {
  const V = logits.shape[1];
  const best = tf.max(logits, -1, true); // [B, 1]
  const behind = tf.mul(tf.cast(tf.less(logits, best), "float32"), V); // [B, V]
  const id = tf.min(tf.add(behind, tf.range(0, V)), -1, true); // [B, 1]: the others are V and more
  return tf.concat([id, tf.sum(logits, -1, true)], -1) as Tensor2D; // [B, 2]
}
