import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";

/**
 * A linear layer without bias, as all of Llama's are: x · weight.
 *
 * Rows of all sequences are stacked into one matrix first: a product of two matrices is the one that every engine
 * does fast (WebAssembly's GEMM takes nothing else), a batched product with a shared right side is not.
 *
 * @param x      [B, T, in]
 * @param weight [in, out]; the transpose of what checkpoints hold
 * @returns      [B, T, out]
 */
export function linear(x: Tensor3D, weight: Tensor2D): Tensor3D {
  const [B, T, width] = x.shape;
  const rows = tf.reshape(x, [B * T, width]); // [B*T, in]
  return tf.reshape(tf.matMul(rows, weight), [B, T, weight.shape[1]]); // [B, T, out]
}
