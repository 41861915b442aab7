import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { Attention } from "./attention.js";
import type { FeedForward } from "./feed-forward.js";
import type { LayerMemory } from "./generation-cache.js";
import type { Positions } from "./positions.js";
import type { LayerProbe } from "./probe.js";
import type { RMSNorm } from "./rms-norm.js";

/**
 * One layer of the model. Attention mixes positions; the feed-forward network then transforms each position on its own.
 * Each adds its output to the residual stream:
 *
 *     h   = x + attention(norm(x))
 *     out = h + feedForward(norm(h))
 *
 * `TransformerBlock` in Meta's llama3/model.py.
 */
export class TransformerBlock {
  constructor(
    private readonly attentionNorm: RMSNorm,
    private readonly attention: Attention,
    private readonly feedForwardNorm: RMSNorm,
    private readonly feedForward: FeedForward,
  ) {}

  /**
   * Each half has a `tf.tidy` of its own, which frees its intermediates at once. A single one around the whole model
   * would keep those of all layers: four times slower for a long prompt, because of memory traffic alone.
   *
   * @param x the residual stream, [B*T, C]; the result has the same shape. For the rest, see `Attention.forward`
   */
  forward(x: Tensor2D, positions: Positions, cache: LayerMemory | undefined, probe?: LayerProbe): Tensor2D {
    const attention = (norm: Tensor2D) => this.attention.forward(norm, positions, cache, probe);
    const feedForward = (norm: Tensor2D) => this.feedForward.forward(norm, probe);

    const h = tf.tidy(() => tf.add<Tensor2D>(x, attention(this.attentionNorm.forward(x))));
    const out = tf.tidy(() => tf.add<Tensor2D>(h, feedForward(this.feedForwardNorm.forward(h))));

    h.dispose();
    probe?.("block", { output: out });
    return out;
  }
}
