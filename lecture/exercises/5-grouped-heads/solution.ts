import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";

/** The KV head that query head h uses, of H query heads and K KV heads. */
export function kvHeadOf(h: number, H: number, K: number): number {
  // BEGIN SOLUTION
  // START: todo(`Adjacent query heads share a KV head: how many of ${H} share each of ${K}? Which one does ${h} use?`);
  return Math.floor(h / (H / K));
  // END SOLUTION
}

/** Groups queries [B*H, T, D] by KV head, [B*K, H/K*T, D]. */
export function group(queries: Tensor3D, H: number, K: number): Tensor3D {
  // BEGIN SOLUTION
  // START: todo(`Group queries [${queries.shape}] of ${H} heads by ${K} KV heads with tf.reshape.`);
  const [BH, T, D] = queries.shape;
  return tf.reshape(queries, [(BH / H) * K, (H / K) * T, D]); // heads that share a KV head are adjacent in memory
  // END SOLUTION
}
