import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { Attention, type AttentionWeights } from "./attention.js";
import { checkCache, checkNotDisposed, checkTokens } from "./check-input.js";
import { inChunks } from "./chunks.js";
import type { ModelConfig } from "./config.js";
import { FeedForward, type FeedForwardWeights } from "./feed-forward.js";
import type { CacheKind, GenerationCache, LayerMemory } from "./generation-cache.js";
import { KVCache } from "./kv-cache.js";
import { attentionMask, type Positions } from "./positions.js";
import { type Probe, probeOfChunk, probeOfLayer } from "./probe.js";
import { RMSNorm } from "./rms-norm.js";
import { RotaryEmbedding } from "./rotary-embedding.js";
import { TransformerBlock } from "./transformer-block.js";

/** All parameters of a Llama. The model owns them and frees them in `dispose`. */
export interface LlamaWeights {
  /** [V, C] */
  readonly embedding: Tensor2D;
  /** First block first. */
  readonly layers: readonly LayerWeights[];
  /** The final norm's, [C] */
  readonly norm: Tensor1D;
  /** The LM head, [V, C]; the same tensor as the embedding if the two are tied. */
  readonly lmHead: Tensor2D;
}

/** The parameters of one block. */
export interface LayerWeights extends AttentionWeights, FeedForwardWeights {
  /** [C] */
  readonly attentionNorm: Tensor1D;
  /** [C] */
  readonly feedForwardNorm: Tensor1D;
}

/** The tensors that a forward pass takes. */
export interface ModelInputs {
  /** Token ids, [B*T] */
  readonly ids: Tensor1D;
  readonly positions: Positions;
  /** Index of each sequence's last position among the B*T, [B]; undefined if T = 1. */
  readonly last: Tensor1D | undefined;
}

/**
 * Llama 3.2, from token ids to the logits of the next token (`Transformer` in Meta's llama3/model.py).
 *
 *     embedding → blocks → norm → LM head
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
   * Computes the logits of the token that follows each sequence.
   *
   * @param tokens B lists of T token ids. With a cache: the T positions after those in the cache, which grows by them.
   *               Without one: the whole prefix, from position 0. With one, more than `cache.prefillChunk` positions
   *               are computed in chunks
   * @param cache  made for B sequences; undefined recomputes all keys and values
   * @param probe  receives the activations, of each chunk
   * @returns      logits at the last position, [B, V]; the caller disposes them
   * @throws InputError after `dispose`, when the sequences differ in length, an id is not in the vocabulary, the cache was
   *               made for another batch size or model, or the context ends before the last position; RangeError when
   *               the cache is full. On any error the cache keeps its former length
   */
  forward(tokens: readonly (readonly number[])[], cache?: GenerationCache, probe?: Probe): Tensor2D {
    checkNotDisposed(this);
    const [B, T] = checkTokens(tokens, cache, this.config);
    if (!cache) return this.pass(tokens, undefined, probe);
    checkCache(cache, B, T, this.config);
    return inChunks(tokens, cache, (chunk, last) => this.pass(chunk, cache, probeOfChunk(probe, last)));
  }

  /**
   * Computes the logits at all T positions and not only at the last, for speculative decoding.
   *
   * @param ids   T token ids of one sequence, at most `cache.prefillChunk`
   * @param cache of one sequence
   * @returns     [T, V]; the caller disposes them
   * @throws what `forward` throws
   */
  forwardAll(ids: readonly number[], cache: GenerationCache): Tensor2D {
    checkNotDisposed(this);
    const [B, T] = checkTokens([ids], cache, this.config);
    checkCache(cache, B, T, this.config);
    return inChunks([ids], cache, (chunk) => this.pass(chunk, cache, undefined, true));
  }

  /** One pass over the T positions after those in the cache. */
  private pass(
    tokens: readonly (readonly number[])[],
    cache: GenerationCache | undefined,
    probe: Probe | undefined,
    allLogits = false,
  ): Tensor2D {
    const [B, T] = [tokens.length, tokens[0]!.length];
    const prevPos = cache?.length ?? 0;
    const end = prevPos + T;
    return tf.tidy(() => {
      const ids = tf.tensor1d(tokens.flat(), "int32"); // [B*T]
      const rotation = this.rotaryEmbedding.at(prevPos, end);
      const mask = cache?.begin ? cache.begin(T) : attentionMask(prevPos, T, this.config.slidingWindow); // [T, S]
      const last = T > 1 && !allLogits ? tf.range(T - 1, B * T, T, "int32") : undefined; // [B]
      return this.logits({ ids, positions: { T, rotation, mask }, last }, cache?.layers, probe);
    });
  }

  /** The forward pass on tensors: same result as `forward`. Graph mode traces it with inputs and caches of its own. */
  logits({ ids, positions, last }: ModelInputs, cache?: readonly LayerMemory[], probe?: Probe): Tensor2D {
    let x = tf.gather(this.weights.embedding, ids); // [B*T, C]
    probe?.("embedding", undefined, x);

    for (const [i, block] of this.blocks.entries()) {
      const out = block.forward(x, positions, cache?.[i], probe && probeOfLayer(probe, i));
      x.dispose(); // the activations of two layers never exist at the same time
      x = out;
    }

    // Only the last position predicts a new token, so only it goes through the LM head, the largest matmul.
    const norm = this.norm.forward(last ? tf.gather(x, last) : x); // [B, C]
    probe?.("norm", undefined, norm);
    // Computed as (W · xᵀ)ᵀ, which transposes the small activation and not the [V, C] weight.
    const logits = tf.transpose(tf.matMul(this.weights.lmHead, tf.transpose(norm))) as Tensor2D; // [B, V]
    probe?.("logits", undefined, logits);
    return logits;
  }

  /** A model of the first `nLayers` layers, which shares this one's weights and must not be disposed: a cheap draft. */
  firstLayers(nLayers: number): Llama {
    const layers = this.weights.layers.slice(0, nLayers);
    return new Llama({ ...this.config, nLayers: layers.length }, { ...this.weights, layers });
  }

  /** Allocates the KV cache of one generation: `batchSize` sequences of up to `capacity` positions; by default the plain one. */
  createCache(batchSize: number, capacity: number, kind?: CacheKind): GenerationCache {
    return kind?.create(this.config, batchSize, capacity) ?? new KVCache(this.config, batchSize, capacity);
  }

  /** Lists of matrices that multiply the same input: wq, wk and wv, and gate and up, of each layer. */
  get matricesOfOneInput(): Tensor2D[][] {
    return this.weights.layers.flatMap(({ wq, wk, wv, gate, up }) => [
      [wq, wk, wv],
      [gate, up],
    ]);
  }

  /** True once the weights are freed. */
  get isDisposed(): boolean {
    return this.weights.embedding.isDisposed;
  }

  /** Frees the weights. */
  dispose(): void {
    const { embedding, layers, norm, lmHead } = this.weights;
    tf.dispose([embedding, norm, lmHead, ...layers.flatMap((layer) => Object.values(layer) as Tensor2D[])]);
  }
}
