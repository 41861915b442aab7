import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "./config.js";
import type { LayerMemory } from "./kv-cache.js";
import type { LayerProbe } from "./probe.js";
import { type Rotation, rotate } from "./rotary-embedding.js";

/** The four matrices of an attention layer, [in, out]: the transposes of what checkpoints hold. */
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
   * @param x        the T positions fed in this call, [B*T, C]
   * @param rotation how far those positions turn queries and keys
   * @param mask     added to the scores to hide the future, [T, S]; undefined where nothing is to be hidden
   * @param cache    this layer's past keys and values. With it, x holds only new positions, which attend to the
   *                 cached ones and to themselves; without it, x must hold the whole prefix
   * @returns        what attention adds to the residual stream, [B*T, C]
   */
  forward(
    x: Tensor2D,
    rotation: Rotation,
    mask: Tensor2D | undefined,
    cache: LayerMemory | undefined,
    probe?: LayerProbe,
  ): Tensor2D {
    const { nHeads: H, nKvHeads: K, headDim: D } = this.config;
    const { wq, wk, wv, wo } = this.weights;
    const T = rotation.cos.shape[0];
    const B = x.shape[0] / T;
    // One matrix a head: [B*T, n*D] → [B*n, T, D], and back. With one position a row, the numbers are in order already.
    const split = (rows: Tensor2D, n: number): Tensor3D =>
      tf.reshape(T === 1 ? rows : tf.transpose(tf.reshape(rows, [B, T, n, D]), [0, 2, 1, 3]), [B * n, T, D]);
    const join = (heads: Tensor3D): Tensor2D =>
      tf.reshape(T === 1 ? heads : tf.transpose(tf.reshape(heads, [B, H, T, D]), [0, 2, 1, 3]), [
        B * T,
        H * D,
      ]);

    const queries = rotate(split(tf.matMul(x, wq), H), rotation); // [B*H, T, D]
    const newKeys = rotate(split(tf.matMul(x, wk), K), rotation); // [B*K, T, D]
    const newValues = split(tf.matMul(x, wv), K); // [B*K, T, D]

    // The whole difference between the two modes: what was computed before is looked up, or is part of x again.
    const [keys, values] = cache ? cache.append(newKeys, newValues) : [newKeys, newValues]; // [B*K, S, D]
    const S = keys.shape[1];

    // The H/K query heads that share a key/value head become extra rows of its matrix; keys are never repeated. Their
    // D numbers are scaled and not the S scores that come of them, which are more.
    const grouped = tf.reshape<tf.Rank.R3>(tf.mul(queries, D ** -0.5), [B * K, (H / K) * T, D]);
    const scores = tf.matMul<Tensor3D>(grouped, keys, false, true); // [B*K, H/K*T, S]
    const masked = mask ? tf.reshape(tf.add(tf.reshape(scores, [B * H, T, S]), mask), scores.shape) : scores;
    const attention = tf.softmax(masked); // rows sum to 1
    const mixed = tf.matMul<Tensor3D>(attention, values); // [B*K, H/K*T, D]

    probe?.("attention.query", queries);
    probe?.("attention.key", newKeys);
    probe?.("attention.value", newValues);
    probe?.("attention.weights", attention);
    return tf.matMul(join(mixed), wo); // [B*T, C]
  }
}
