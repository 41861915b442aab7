import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "../model/config.js";
import type { ProbeName } from "../model/probe.js";

/** What a probe sees of a recorded call: a tensor's name and its layer. */
export interface Seen {
  readonly name: ProbeName;
  readonly layer: number | undefined;
}

/**
 * Cuts a tensor that left a recorded call to what the same call of an eager model would show: without positions that
 * only fill the prefix up, and without what of the cache is not filled yet.
 *
 * @param T of the recorded call; `fed` of them are wanted, and attend to `S` positions
 */
export function wanted(
  tensor: Tensor,
  name: ProbeName,
  T: number,
  fed: number,
  S: number,
  { nHeads: H, nKvHeads: K }: ModelConfig,
): Tensor {
  const shape = tensor.shape;
  switch (name) {
    case "norm":
    case "logits":
      return tensor;
    case "attention.query":
    case "attention.key":
    case "attention.value":
      return tf.slice(tensor, [0, 0, 0], [shape[0]!, fed, shape[2]!]); // [B*n, T, D]
    case "attention.weights": {
      const heads = (shape[0]! * H) / K; // B*H
      const own = tf.slice(tf.reshape(tensor, [heads, T, shape[2]!]), [0, 0, 0], [heads, fed, S]); // [B*H, T, S]
      return tf.reshape(own, [shape[0]!, (H / K) * fed, S]);
    }
    default: {
      const [rows, C] = shape as [number, number]; // [B*T, C]
      const own = tf.slice(tf.reshape(tensor, [rows / T, T, C]), [0, 0, 0], [rows / T, fed, C]);
      return tf.reshape(own, [(rows / T) * fed, C]);
    }
  }
}
