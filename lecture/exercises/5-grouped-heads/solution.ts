import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";

/** The key/value head that query head h reads, of H query heads and K key/value heads. */
export function kvHeadOf(h: number, H: number, K: number): number {
  return Math.floor(h / (H / K));
}

/**
 * Queries [B*H, T, D] as the rows of their key/value heads, [B*K, H/K*T, D]. Heads that share one are neighbours in
 * memory already, so only the shape changes.
 */
export function group(queries: Tensor3D, H: number, K: number): Tensor3D {
  const [BH, T, D] = queries.shape;
  return tf.reshape(queries, [(BH / H) * K, (H / K) * T, D]);
}
