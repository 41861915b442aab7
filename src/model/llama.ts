import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { InputError } from "../util/errors.js";
import { Attention, type AttentionWeights } from "./attention.js";
import { checkTokens } from "./check-tokens.js";
import type { ModelConfig } from "./config.js";
import { FeedForward, type FeedForwardWeights } from "./feed-forward.js";
import { KVCache, type LayerMemory } from "./kv-cache.js";
import type { LayerProbe, Probe } from "./probe.js";
import { RMSNorm } from "./rms-norm.js";
import { type Rotation, RotaryEmbedding } from "./rotary-embedding.js";
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

/** What a call brings along besides weights and cache. */
export interface ModelInputs {
  /** Token ids, [B*T] */
  readonly ids: Tensor1D;
  /** How far the fed positions turn queries and keys. */
  readonly rotation: Rotation;
  /** Added to the attention scores, [T, S]; undefined where nothing is to be hidden. */
  readonly mask: Tensor2D | undefined;
  /** Which of the B*T rows are the last of their sequences, [B]; undefined where all are. */
  readonly last: Tensor1D | undefined;
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
   *               the cache is full. The cache is as it was then, whatever was thrown
   */
  forward(tokens: readonly (readonly number[])[], cache?: KVCache, probe?: Probe): Tensor2D {
    const prevPos = cache?.length ?? 0;
    const [B, T] = checkTokens(tokens, prevPos, this.config);
    if (cache) this.check(cache, B);
    try {
      return tf.tidy(() => {
        const positions = tf.range(prevPos, prevPos + T);
        const inputs = {
          ids: tf.tensor1d(tokens.flat(), "int32"),
          rotation: this.rotaryEmbedding.at(prevPos, prevPos + T),
          mask: T > 1 ? causalMask(positions, prevPos + T) : undefined, // a single position is the last: all others are past
          last: T > 1 ? tf.range(T - 1, B * T, T, "int32") : undefined,
        };
        return this.scores(inputs, cache?.layers, probe);
      });
    } catch (error) {
      cache?.truncate(prevPos); // some layers have the new positions already, others have not
      throw error;
    }
  }

  /** What `forward` does once everything is a tensor; the same arguments and result. */
  scores(inputs: ModelInputs, cache?: readonly LayerMemory[], probe?: Probe): Tensor2D {
    const { ids, rotation, mask, last } = inputs;
    let x = tf.gather(this.weights.embedding, ids); // [B*T, C]
    probe?.("embedding", undefined, x);

    this.blocks.forEach((block, i) => {
      const layerProbe: LayerProbe | undefined = probe && ((name, tensor) => probe(name, i, tensor));
      const out = block.forward(x, rotation, mask, cache?.[i], layerProbe);
      x.dispose(); // the residual stream moves on: at no time do two layers' intermediates exist
      x = out;
    });

    // Only the last position predicts something new, so only it goes through the output head, the largest product.
    const normed = this.norm.forward(last ? tf.gather(x, last) : x); // [B, C]
    probe?.("norm", undefined, normed);
    // x · headᵀ as (head · xᵀ)ᵀ: turns the small matrix, not the large one, which tied heads share with the embedding.
    const logits = tf.transpose(tf.matMul(this.weights.output, tf.transpose(normed))) as Tensor2D; // [B, V]
    probe?.("logits", undefined, logits);
    return logits;
  }

  /** Room for the keys and values of one generation: `batchSize` rows of up to `maxSeqLen` positions. */
  createCache(batchSize: number, maxSeqLen: number): KVCache {
    return new KVCache(this.config, batchSize, maxSeqLen);
  }

  /** Frees the weights. */
  dispose(): void {
    const { embedding, layers, norm, output } = this.weights;
    tf.dispose([embedding, norm, output, ...layers.flatMap((layer) => Object.values(layer) as Tensor2D[])]);
  }

  private check(cache: KVCache, B: number): void {
    const { nLayers } = this.config;
    if (cache.layers.length !== nLayers) {
      throw new InputError(`the KV cache has ${cache.layers.length} layers, the model ${nLayers}`);
    }
    if (cache.batchSize !== B) {
      throw new InputError(`the KV cache was made for ${cache.batchSize} rows, ${B} were fed`);
    }
  }
}

/**
 * Hides the future: 0 where a query's position may look at key position s, that is s ≤ position, and a number that
 * softmax turns into 0 where it may not.
 *
 * @param positions of the queries, [T]
 * @returns         [T, S]
 */
export function causalMask(positions: Tensor1D, S: number): Tensor2D {
  const query = tf.reshape(positions, [-1, 1]); // [T, 1]
  const key = tf.reshape(tf.range(0, S), [1, S]);
  return tf.mul(tf.cast(tf.greater(key, query), "float32"), -1e9);
}
