import type { ModelConfig } from "./config.js";

const LLAMA_3_2: Pick<ModelConfig, "vocabSize" | "maxSeqLen" | "normEps" | "rope" | "tieWordEmbeddings"> = {
  vocabSize: 128256,
  maxSeqLen: 131072,
  normEps: 1e-5,
  rope: {
    theta: 500000,
    scaling: { factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalMaxSeqLen: 8192 },
  },
  tieWordEmbeddings: true,
};

/**
 * Configurations of published models, as in their config.json. Random weights suffice to measure them: the time of a step
 * does not depend on the weights' values, and Meta's are gated.
 */
export const PRESETS: Readonly<Record<string, ModelConfig>> = {
  "llama-3.2-1b": {
    ...LLAMA_3_2,
    hiddenSize: 2048,
    nLayers: 16,
    nHeads: 32,
    nKvHeads: 8,
    headDim: 64,
    intermediateSize: 8192,
  },
  "llama-3.2-3b": {
    ...LLAMA_3_2,
    hiddenSize: 3072,
    nLayers: 28,
    nHeads: 24,
    nKvHeads: 8,
    headDim: 128,
    intermediateSize: 8192,
  },
  "smollm2-135m": {
    hiddenSize: 576,
    nLayers: 30,
    nHeads: 9,
    nKvHeads: 3,
    headDim: 64,
    intermediateSize: 1536,
    vocabSize: 49152,
    maxSeqLen: 8192,
    normEps: 1e-5,
    rope: { theta: 100000 },
    tieWordEmbeddings: true,
  },
};
