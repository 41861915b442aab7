/**
 * The hyperparameters of a Llama. Shape comments everywhere use these letters:
 *
 *     B  batch size: sequences generated together     C  hidden size           V  vocabulary size
 *     T  positions computed in this call              H  query heads           F  intermediate size
 *     S  positions attended to, past and present      K  key/value heads       D  head dim
 *     L  capacity of the KV cache in positions
 *
 * A head's queries are [T, D], its keys and values [S, D]; without a cache, and in the prefill, S = T.
 *
 * The residual stream is a matrix, [B*T, C], one row per position, sequence after sequence. Only attention needs to know
 * which positions belong together, so every linear layer is one matmul of two matrices, the kind that all backends do
 * fast.
 */
export interface ModelConfig {
  /** C: width of the residual stream. */
  readonly hiddenSize: number;
  /** Number of transformer blocks. */
  readonly nLayers: number;
  /** H: query heads. */
  readonly nHeads: number;
  /** K: key/value heads. H/K query heads share one of them (grouped-query attention), so the cache is H/K times smaller. */
  readonly nKvHeads: number;
  /** D: size of a head's vectors. Usually C/H. Even, because RoPE rotates pairs. */
  readonly headDim: number;
  /** F: inner width of the feed-forward network. */
  readonly intermediateSize: number;
  /** V: token ids are 0 … V-1. */
  readonly vocabSize: number;
  /** The context: most positions of a sequence, prompt and generated tokens together. */
  readonly maxSeqLen: number;
  /** Positions that one may attend to, itself included; all before it if undefined. Mistral 7B v0.1 has 4,096. */
  readonly slidingWindow?: number;
  /** Added to the mean square in RMSNorm, so that a zero vector does not divide by zero. */
  readonly normEps: number;
  /** RoPE's frequencies. */
  readonly rope: RopeConfig;
  /** True if the LM head is the embedding matrix instead of one of its own. */
  readonly tieWordEmbeddings: boolean;
}

/** RoPE: pair i of D/2 rotates by theta^(-2i/D) radians per position. */
export interface RopeConfig {
  readonly theta: number;
  /** Llama 3.1's and 3.2's rescaling of the low frequencies for long contexts. */
  readonly scaling?: Llama3RopeScaling;
  /** "linear" scaling, for fine-tunes with longer contexts: all frequencies are divided by it (Chen et al. 2023). */
  readonly linearFactor?: number;
}

/**
 * "llama3" scaling: frequencies with fewer than `lowFreqFactor` rotations within the original context are divided by
 * `factor`, those with more than `highFreqFactor` are kept, those between are interpolated.
 */
export interface Llama3RopeScaling {
  /** 8 in Llama 3.1, 32 in Llama 3.2. */
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  /** The context of pre-training, in positions. */
  readonly originalMaxSeqLen: number;
}
