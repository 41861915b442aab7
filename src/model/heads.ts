import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";

/**
 * Reshapes projected hidden states into one matrix per head. With T = 1 the numbers are in that order already, so the
 * transpose is skipped.
 *
 * @param x [B*T, n*D]
 * @returns [B*n, T, D]
 */
export function splitHeads(x: Tensor2D, n: number, T: number): Tensor3D {
  const [BT, width] = x.shape;
  const [B, D] = [BT / T, width / n];
  const byHead = T === 1 ? x : tf.transpose(tf.reshape(x, [B, T, n, D]), [0, 2, 1, 3]); // [B, n, T, D]
  return tf.reshape(byHead, [B * n, T, D]);
}

/**
 * The inverse of `splitHeads`: concatenates the heads of each position again.
 *
 * @param x the output of attention, [B*K, H/K*T, D], which is [B, H, T, D] in memory
 * @returns [B*T, H*D]
 */
export function joinHeads(x: Tensor3D, H: number, T: number): Tensor2D {
  const D = x.shape[2];
  const B = x.size / (H * T * D);
  const byPosition = T === 1 ? x : tf.transpose(tf.reshape(x, [B, H, T, D]), [0, 2, 1, 3]); // [B, T, H, D]
  return tf.reshape(byPosition, [B * T, H * D]);
}

/**
 * Attention weights, softmax(q · kᵀ / √D + mask): the share of each of S positions in a query's output. Rows sum to 1.
 *
 * The H/K query heads of a group become additional rows of their KV head's matrix, so keys are never repeated.
 *
 * @param q    [B*H, T, D]
 * @param k    [B*K, S, D]
 * @param mask added to the attention scores, [T, S] or [B, 1, T, S]; undefined where every position may be attended to
 * @returns    [B*K, H/K*T, S]
 */
export function attentionWeights(q: Tensor3D, k: Tensor3D, mask: Tensor | undefined): Tensor3D {
  const [BH, T, D] = q.shape;
  const [BK, S] = k.shape;
  const grouped = tf.reshape<tf.Rank.R3>(tf.mul(q, D ** -0.5), [BK, (BH / BK) * T, D]); // scaled here: q is smaller
  const scores = tf.matMul<Tensor3D>(grouped, k, false, true); // [B*K, H/K*T, S]
  if (!mask) return tf.softmax(scores);
  const B = mask.shape[0]!;
  const byHead = tf.reshape(scores, mask.rank === 4 ? [B, BH / B, T, S] : [BH, T, S]);
  return tf.softmax(tf.reshape(tf.add(byHead, mask), scores.shape));
}
