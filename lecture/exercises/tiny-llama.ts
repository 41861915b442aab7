import { Llama, type ModelConfig } from "../../src/index.js";
import { randomWeights } from "../../src/model/random-weights.js";

/** A model that runs in milliseconds; with grouped-query attention, like Llama 3.2. */
export const TINY_CONFIG: ModelConfig = {
  hiddenSize: 24,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  headDim: 8,
  intermediateSize: 40,
  vocabSize: 61,
  maxSeqLen: 128,
  normEps: 1e-5,
  rope: { theta: 10000 },
  tieWordEmbeddings: false,
};

/** A Llama with random weights, equal in every call. */
export const tinyLlama = (): Llama => new Llama(TINY_CONFIG, randomWeights(TINY_CONFIG));
