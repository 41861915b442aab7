import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { InputError } from "../errors.js";
import { Attention, type AttentionWeights } from "./attention.js";
import type { ModelConfig } from "./config.js";
import { FeedForward, type FeedForwardWeights } from "./feed-forward.js";
import type { KVCache } from "./kv-cache.js";
import type { LayerProbe, Probe } from "./probe.js";
import { RMSNorm } from "./rms-norm.js";
import { RotaryEmbedding } from "./rotary-embedding.js";
import { TransformerBlock } from "./transformer-block.js";

/** Every parameter of a Llama. The model owns them from then on and frees them in `dispose`. */
export interface LlamaWeights {
  /** One vector a token, [V, C] */
  readonly embedding: Tensor2D;
  /** First block first. */
  readonly layers: readonly LayerWeights[];
  /** The final norm's, [C] */
  readonly norm: Tensor1D;
  /** The output head, one vector a token, [V, C]; the embedding itself where the two are tied. */
  readonly output: Tensor2D;
}

/** The parameters of one block. */
export interface LayerWeights extends AttentionWeights, FeedForwardWeights {
  /** [C] */
  readonly attentionNorm: Tensor1D;
  /** [C] */
  readonly feedForwardNorm: Tensor1D;
}

/**
 * Llama 3.2, from token ids to the scores of the next token (`Transformer` in Meta's llama3/model.py).
 *
 *     embedding → blocks → norm → output head
 */
export class Llama {
  private readonly rotaryEmbedding: RotaryEmbedding;
  private readonly blocks: readonly TransformerBlock[];
  private readonly norm: RMSNorm;

  constructor(
    readonly config: ModelConfig,
    private readonly weights: LlamaWeights,
  ) {
    const rmsNorm = (weight: Tensor1D) => new RMSNorm(weight, config.normEps);
    this.rotaryEmbedding = new RotaryEmbedding(config);
    this.norm = rmsNorm(weights.norm);
    this.blocks = weights.layers.map(
      (layer) =>
        new TransformerBlock(
          rmsNorm(layer.attentionNorm),
          new Attention(config, layer),
          rmsNorm(layer.feedForwardNorm),
          new FeedForward(layer),
        ),
    );
  }

  /**
   * Scores every token that could follow each row.
   *
   * @param tokens B rows of T token ids each. With a cache: the T positions that follow those in the cache, which
   *               grows by them. Without one: the whole prefix, from position 0
   * @param cache  one made for B rows, or undefined to compute every key and value anew
   * @param probe  sees the intermediate results
   * @returns      the scores after the last fed position, [B, V]; the caller disposes them
   * @throws InputError when the rows differ in length, an id is not in the vocabulary, the cache was made for
   *               another batch size or model, or the context ends before the last position; RangeError when
   *               the cache is full
   */
  forward(tokens: readonly (readonly number[])[], cache?: KVCache, probe?: Probe): Tensor2D {
    const prevPos = cache?.length ?? 0;
    const [B, T] = this.check(tokens, prevPos, cache);
    const C = this.config.dim;

    return tf.tidy(() => {
      const ids = tf.tensor1d(tokens.flat(), "int32");
      let x = tf.gather(this.weights.embedding, ids); // [B*T, C]
      probe?.("embedding", undefined, x);

      const rotation = this.rotaryEmbedding.at(prevPos, prevPos + T);
      const mask = T > 1 ? causalMask(prevPos, T) : undefined; // a single position is the last: all others are past
      this.blocks.forEach((block, i) => {
        const layerProbe: LayerProbe | undefined = probe && ((name, tensor) => probe(name, i, tensor));
        const out = block.forward(x, rotation, mask, cache?.layers[i], layerProbe);
        x.dispose(); // the residual stream moves on: at no time do two layers' intermediates exist
        x = out;
      });

      // Only the last position predicts something new, so only it goes through the output head, the largest product.
      const last = tf.slice(tf.reshape(x, [B, T, C]), [0, T - 1, 0], [B, 1, C]); // [B, 1, C]
      const normed = this.norm.forward(tf.reshape(last, [B, C])); // [B, C]
      probe?.("norm", undefined, normed);
      // x · headᵀ as (head · xᵀ)ᵀ: turns the small matrix, not the large one, which tied heads share with the embedding.
      const logits = tf.transpose(tf.matMul(this.weights.output, tf.transpose(normed))) as Tensor2D; // [B, V]
      probe?.("logits", undefined, logits);
      return logits;
    });
  }

  /** Frees the weights. */
  dispose(): void {
    const { embedding, layers, norm, output } = this.weights;
    tf.dispose([embedding, norm, output, ...layers.flatMap((layer) => Object.values(layer) as Tensor2D[])]);
  }

  private check(tokens: readonly (readonly number[])[], prevPos: number, cache: KVCache | undefined) {
    const { vocabSize, maxSeqLen } = this.config;
    const B = tokens.length;
    const T = tokens[0]?.length ?? 0;
    if (T === 0)
      throw new InputError("there is nothing to feed: expected at least one row of at least one token");
    for (const [row, ids] of tokens.entries()) {
      if (ids.length !== T) {
        throw new InputError(`row ${row} has ${ids.length} tokens, expected ${T} as in row 0`);
      }
      checkTokenIds(ids, row, vocabSize);
    }
    if (cache && cache.layers.length !== this.config.nLayers) {
      throw new InputError(
        `the KV cache has ${cache.layers.length} layers, the model ${this.config.nLayers}`,
      );
    }
    if (cache && cache.batchSize !== B) {
      throw new InputError(`the KV cache was made for ${cache.batchSize} rows, ${B} were fed`);
    }
    if (prevPos + T > maxSeqLen) {
      throw new InputError(`position ${prevPos + T} was asked for, the model's context ends at ${maxSeqLen}`);
    }
    return [B, T] as const;
  }
}

/** @throws InputError for the first of a row's ids that is not in the vocabulary */
export function checkTokenIds(ids: readonly number[], row: number, vocabSize: number): void {
  for (const id of ids) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new InputError(`token id ${id} in row ${row} is out of range, expected 0 to ${vocabSize - 1}`);
    }
  }
}

/**
 * Hides the future: 0 where position prevPos + t may look at position s, that is s ≤ prevPos + t, and a number that
 * softmax turns into 0 where it may not.
 *
 * @returns [T, S] with S = prevPos + T
 */
function causalMask(prevPos: number, T: number): Tensor2D {
  const S = prevPos + T;
  const query = tf.reshape(tf.range(prevPos, S), [T, 1]);
  const key = tf.reshape(tf.range(0, S), [1, S]);
  return tf.mul(tf.cast(tf.greater(key, query), "float32"), -1e9);
}
