import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "./config.js";
import type { LlamaWeights } from "./llama.js";

/**
 * Random weights for any configuration, computed on the backend's device: a billion numbers take seconds on a GPU and
 * minutes in JavaScript. The same configuration and seed give the same weights on the same backend.
 *
 * They are scaled to preserve the magnitude of the residual stream, so that logits look ordinary and next tokens vary.
 */
export function randomWeights(config: ModelConfig, seed = 1): LlamaWeights {
  const { hiddenSize: C, nHeads: H, nKvHeads: K, headDim: D, intermediateSize: F, vocabSize: V } = config;
  let made = 0;
  const matrix = (rows: number, columns: number, scale: number): Tensor2D =>
    noise(rows, columns, scale, seed + made++);
  const projection = (from: number, to: number) => matrix(from, to, from ** -0.5);
  const norm = (): Tensor1D =>
    tf.tidy(() => tf.add(1, tf.reshape<tf.Rank.R1>(noise(1, C, 0.1, seed + made++), [C])));

  const embedding = matrix(V, C, 1);
  const layers = Array.from({ length: config.nLayers }, () => ({
    attentionNorm: norm(),
    wq: projection(C, H * D),
    wk: projection(C, K * D),
    wv: projection(C, K * D),
    wo: projection(H * D, C),
    feedForwardNorm: norm(),
    gate: projection(C, F),
    up: projection(C, F),
    down: projection(F, C),
  }));
  const lmHead = config.tieWordEmbeddings ? embedding : matrix(V, C, C ** -0.5);
  return { embedding, layers, norm: norm(), lmHead };
}

/**
 * Pseudo-random numbers of mean 0 and standard deviation `scale`: fractional parts of a large multiple of a sine, whose
 * argument differs in every row and column.
 */
function noise(rows: number, columns: number, scale: number, seed: number): Tensor2D {
  // Each result replaces its input, so that at most three matrices of this size exist at a time.
  const then = (before: Tensor2D, change: (x: Tensor2D) => Tensor2D): Tensor2D => {
    const after = tf.tidy(() => change(before));
    before.dispose();
    return after;
  };
  return tf.tidy(() => {
    const row = tf.tensor2d(evenPoints(rows, 0.6180339887498949, seed), [rows, 1]);
    const column = tf.tensor2d(evenPoints(columns, 0.7548776662466927, seed), [1, columns]);
    const angles = tf.add<Tensor2D>(tf.mul(row, 127.1), tf.mul(column, 311.7)); // [rows, columns]
    const digits = then(then(angles, tf.sin), (x) => tf.mul(x, 43758.5453));
    const uniform = then(digits, (x) => tf.sub(x, tf.floor(x))); // in [0, 1)
    const centred = then(uniform, (x) => tf.sub(x, 0.5));
    return then(centred, (x) => tf.mul(x, scale * Math.sqrt(12)));
  });
}

/** Evenly spread points of [0, 1): multiples of an irrational number, modulo 1. */
function evenPoints(count: number, step: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i + 1) * step + seed * 0.5698402909980532) % 1);
}
