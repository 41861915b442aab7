import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "./config.js";
import type { LayerCache } from "./kv-cache.js";
import { linear } from "./linear.js";
import type { LayerProbe } from "./probe.js";
import { type Rotation, rotate } from "./rotary-embedding.js";

/** The four matrices of an attention layer, [in, out]. */
export interface AttentionWeights {
  /** [C, H*D] */
  readonly wq: Tensor2D;
  /** [C, K*D] */
  readonly wk: Tensor2D;
  /** [C, K*D] */
  readonly wv: Tensor2D;
  /** [H*D, C] */
  readonly wo: Tensor2D;
}

/**
 * Grouped-query causal self-attention (Ainslie et al. 2023, "GQA"; `Attention` in Meta's llama3/model.py), and the
 * one place where the KV cache is, or is not.
 */
export class Attention {
  constructor(
    private readonly config: Pick<ModelConfig, "nHeads" | "nKvHeads" | "headDim">,
    private readonly weights: AttentionWeights,
  ) {}

  /**
   * @param x        the T positions fed in this call, [B, T, C]
   * @param rotation how far those positions turn queries and keys
   * @param mask     added to the scores to hide the future, [T, S]; undefined where nothing is to be hidden
   * @param cache    this layer's past keys and values. With it, x holds only new positions, which attend to the
   *                 cached ones and to themselves; without it, x must hold the whole prefix
   * @returns        what attention adds to the residual stream, [B, T, C]
   */
  forward(
    x: Tensor3D,
    rotation: Rotation,
    mask: Tensor2D | undefined,
    cache: LayerCache | undefined,
    probe?: LayerProbe,
  ): Tensor3D {
    const { nHeads: H, nKvHeads: K, headDim: D } = this.config;
    const { wq, wk, wv, wo } = this.weights;
    const [B, T] = x.shape;

    const queries = rotate(splitHeads(linear(x, wq), H), rotation); // [B, H, T, D]
    const newKeys = rotate(splitHeads(linear(x, wk), K), rotation); // [B, K, T, D]
    const newValues = splitHeads(linear(x, wv), K); // [B, K, T, D]

    // The whole difference between the two modes: what was computed before is looked up, or is part of x again.
    const [keys, values] = cache
      ? cache.append(stackHeads(newKeys), stackHeads(newValues))
      : [stackHeads(newKeys), stackHeads(newValues)]; // [B*K, S, D]
    const S = keys.shape[1];

    // The H/K query heads that share a key/value head become extra rows of its matrix; keys are never repeated.
    const grouped = tf.reshape(queries, [B * K, (H / K) * T, D]) as Tensor3D;
    const scores = tf.mul(tf.matMul(grouped, keys, false, true), D ** -0.5); // [B*K, H/K*T, S]
    const byHead = tf.reshape(scores, [B, H, T, S]) as Tensor4D; // [B, H, T, S]
    const weights = tf.softmax(mask ? tf.add(byHead, mask) : byHead);
    const mixed = tf.matMul(tf.reshape(weights, [B * K, (H / K) * T, S]) as Tensor3D, values); // [B*K, H/K*T, D]

    probe?.("attention.query", queries);
    probe?.("attention.key", newKeys);
    probe?.("attention.value", newValues);
    probe?.("attention.weights", weights);
    return linear(joinHeads(tf.reshape(mixed, [B, H, T, D])), wo); // [B, T, C]
  }
}

// [B, T, n*D] → [B, n, T, D]
const splitHeads = (x: Tensor3D, n: number): Tensor4D =>
  tf.transpose(tf.reshape(x, [x.shape[0], x.shape[1], n, x.shape[2] / n]), [0, 2, 1, 3]);

// [B, n, T, D] → [B*n, T, D]
const stackHeads = (x: Tensor4D): Tensor3D =>
  tf.reshape(x, [x.shape[0] * x.shape[1], x.shape[2], x.shape[3]]);

// [B, n, T, D] → [B, T, n*D]
const joinHeads = (x: Tensor4D): Tensor3D =>
  tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [x.shape[0], x.shape[2], x.shape[1] * x.shape[3]]);
