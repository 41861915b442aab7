import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "./config.js";
import { attentionWeights, joinHeads, splitHeads } from "./heads.js";
import type { LayerMemory } from "./generation-cache.js";
import type { Positions } from "./positions.js";
import type { LayerProbe } from "./probe.js";
import { rotate } from "./rotary-embedding.js";

/** The four matrices of an attention layer, [in, out]: the transposes of a checkpoint's. */
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
 * Grouped-query causal self-attention, and the one line that is the KV cache.
 *
 * Ainslie et al. 2023, "GQA"; `Attention` in Meta's llama3/model.py.
 */
export class Attention {
  constructor(
    private readonly config: Pick<ModelConfig, "nHeads" | "nKvHeads">,
    private readonly weights: AttentionWeights,
  ) {}

  /**
   * @param x         normalised hidden states of the T positions computed in this call, [B*T, C]
   * @param positions their number, rotation and mask
   * @param cache     keys and values of all earlier positions, which grow by T. Without a cache, x must hold the whole
   *                  prefix
   * @returns         the update of the residual stream, [B*T, C]
   */
  forward(x: Tensor2D, positions: Positions, cache: LayerMemory | undefined, probe?: LayerProbe): Tensor2D {
    const { nHeads: H, nKvHeads: K } = this.config;
    const { wq, wk, wv, wo } = this.weights;
    const { T, rotation, mask } = positions;

    const q = rotate(splitHeads(tf.matMul(x, wq), H, T), rotation); // [B*H, T, D]
    const k = rotate(splitHeads(tf.matMul(x, wk), K, T), rotation); // [B*K, T, D]
    const v = splitHeads(tf.matMul(x, wv), K, T); // [B*K, T, D]

    // The KV cache: append the new keys and values, then attend to all S so far. Without it, x is the whole prefix: S = T.
    const [keys, values] = cache ? cache.append(k, v) : [k, v]; // [B*K, S, D]

    const weights = attentionWeights(q, keys, mask); // softmax(q · keysᵀ / √D + mask), [B*K, H/K*T, S]
    const mixed = tf.matMul<Tensor3D>(weights, values); // [B*K, H/K*T, D]
    const output = tf.matMul<Tensor2D>(joinHeads(mixed, H, T), wo); // [B*T, C]

    probe?.("attention", { norm: x, query: q, key: k, value: v, weights, output });
    return output;
  }
}
