/**
 * Every number that makes a Llama. The letters on the right are used in shape comments everywhere:
 *
 *     B  batch: rows (prompts) generated together     C  model width           V  vocabulary size
 *     T  positions fed in this call                   H  query heads           F  feed-forward width
 *     S  positions attended to: past ones and fed     K  key/value heads       D  width of one head
 *     L  positions the KV cache has room for
 *
 * A head's queries are [T, D], its keys and values [S, D]; without a cache, or before anything is in it, S = T.
 *
 * The residual stream is a matrix, [B*T, C]: one row a position, those of a sequence one after the other. Only
 * attention asks which positions belong together. So a linear layer is a product of two matrices, the one kind that
 * every backend does fast.
 */
export interface ModelConfig {
  /** C: width of the residual stream. */
  readonly hiddenSize: number;
  /** Transformer blocks, one after the other. */
  readonly nLayers: number;
  /** H: query heads. */
  readonly nHeads: number;
  /** K: key/value heads. H/K query heads share one of them (grouped-query attention), so the cache is H/K times smaller. */
  readonly nKvHeads: number;
  /** D: width of one head. Usually C/H, but not always. Even, because rotary embedding turns pairs. */
  readonly headDim: number;
  /** F: width of the feed-forward layer's inside. */
  readonly intermediateSize: number;
  /** V: token ids are 0 … V-1. */
  readonly vocabSize: number;
  /** The context: positions the model was made for, prompt and generated tokens together. */
  readonly maxSeqLen: number;
  /** Added to the mean square in RMSNorm, so that a row of zeros does not divide by zero. */
  readonly normEps: number;
  /** How fast each pair of a head turns with the position. */
  readonly rope: RopeConfig;
  /** Whether the output head is the embedding matrix again instead of a matrix of its own. */
  readonly tieWordEmbeddings: boolean;
}

/** Rotary embedding: pair i of D/2 turns by theta^(-2i/D) radians a position. */
export interface RopeConfig {
  readonly theta: number;
  /** Llama 3.1's and 3.2's rescaling of the slow pairs for long contexts. */
  readonly scaling?: Llama3RopeScaling;
  /** "linear" scaling, of fine-tunes for longer contexts: every pair turns so many times slower (Chen et al. 2023). */
  readonly linearFactor?: number;
}

/**
 * "llama3" scaling: pairs that turn less than `lowFreqFactor` times within the original context are slowed down
 * `factor` times, those that turn more than `highFreqFactor` times are left alone, those between are blended.
 */
export interface Llama3RopeScaling {
  /** 8 in Llama 3.1, 32 in Llama 3.2. */
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  /** The context that the model was trained on first, in positions. */
  readonly originalMaxSeqLen: number;
}
