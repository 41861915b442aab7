import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { Attention } from "./attention.js";
import type { FeedForward } from "./feed-forward.js";
import type { LayerMemory } from "./kv-cache.js";
import type { LayerProbe } from "./probe.js";
import type { RMSNorm } from "./rms-norm.js";
import type { Rotation } from "./rotary-embedding.js";

/**
 * One layer of the model: positions first look at each other, then think on their own, and each half adds its
 * result to the residual stream.
 *
 *     h   = x + attention(norm(x))
 *     out = h + feedForward(norm(h))
 */
export class TransformerBlock {
  constructor(
    private readonly attentionNorm: RMSNorm,
    private readonly attention: Attention,
    private readonly feedForwardNorm: RMSNorm,
    private readonly feedForward: FeedForward,
  ) {}

  /**
   * Each half has a `tf.tidy` of its own, which frees the half's intermediates at its end. One tidy around the whole
   * model would keep those of all layers until the last: four times slower on a long prompt, by memory traffic alone.
   *
   * @param x the residual stream, [B*T, C]; the result has the same shape. For the rest, see `Attention.forward`
   */
  forward(
    x: Tensor2D,
    rotation: Rotation,
    mask: Tensor2D | undefined,
    cache: LayerMemory | undefined,
    probe?: LayerProbe,
  ): Tensor2D {
    const h = tf.tidy(() => {
      const normed = this.attentionNorm.forward(x);
      probe?.("attention.norm", normed);
      const attended = this.attention.forward(normed, rotation, mask, cache, probe);
      probe?.("attention.output", attended);
      return tf.add<Tensor2D>(x, attended);
    });
    const out = tf.tidy(() => {
      const normed = this.feedForwardNorm.forward(h);
      probe?.("feedForward.norm", normed);
      const fed = this.feedForward.forward(normed);
      probe?.("feedForward.output", fed);
      return tf.add<Tensor2D>(h, fed);
    });
    h.dispose();
    probe?.("block.output", out);
    return out;
  }
}
