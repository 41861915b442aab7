import * as tf from "@tensorflow/tfjs-core";
import { KVCache } from "../src/model/kv-cache.js";
import { Llama, type ModelConfig, type Probe } from "../src/index.js";
import { randomWeights } from "../src/model/random-weights.js";
import type { StepCost } from "../src/cost/cost.js";
import { randomIds } from "./support.js";

/**
 * Counts the work of a forward pass while it runs: matmuls and weights by the kernels that are called and their inputs,
 * K/V pairs by the activations that the probe receives.
 *
 * @param past positions in the cache before the pass
 */
export function observeWork(
  config: ModelConfig,
  B: number,
  T: number,
  past: number,
  useCache: boolean,
): StepCost {
  const weights = randomWeights(config);
  const model = new Llama(config, weights);
  const { embedding, norm, lmHead, layers } = weights;
  const tensors: tf.Tensor[] = [embedding, norm, lmHead, ...layers.flatMap((layer) => Object.values(layer))];
  const weightSizes = new Map(tensors.map(({ dataId, size }) => [dataId, 4 * size])); // one entry for a tied LM head
  const cache = useCache ? new KVCache(config, B, past + T + 5) : undefined;
  const inputIds = (length: number) => Array.from({ length: B }, (_, i) => randomIds(length, i));
  if (past > 0) model.forward(inputIds(past), cache).dispose();

  const counted = {
    flops: 0,
    weightBytes: 0,
    cacheBytesRead: 0,
    cacheBytesWritten: 0,
    kvPairsComputed: 0,
    kvPairsReused: 0,
  };
  const read = new Set<object>();
  const backend = tf.engine();
  const { runKernel } = backend;
  backend.runKernel = ((name: string, inputs: tf.NamedTensorMap, attributes?: tf.NamedAttrMap) => {
    const result = runKernel.call(backend, name, inputs, attributes);
    if (/MatMul/.test(name)) {
      const { shape } = result as tf.Tensor;
      const [n, m] = shape.toReversed() as [number, number];
      const batch = tf.util.sizeFromShape(shape) / (m * n);
      const k = inputs["a"]!.size / (batch * m);
      counted.flops += 2 * batch * m * k * n; // [batch, m, k] · [batch, k, n]
    }
    if (name === "KVCacheWrite") counted.cacheBytesWritten += 4 * inputs["update"]!.size;
    if (name === "GatherV2") return result; // reads the input ids' embeddings only, counted below
    for (const { dataId } of Object.values(inputs)) read.add(dataId);
    return result;
  }) as typeof runKernel;
  const { nKvHeads: K, headDim: D } = config;
  const probe: Probe = (name, _, tensor) => {
    if (name === "embedding") counted.weightBytes += 4 * tensor.size;
    if (name === "attention.key") counted.kvPairsComputed += tensor.size / D;
    if (name !== "attention.weights") return;
    const S = tensor.shape.at(-1)!;
    counted.kvPairsReused += B * K * (S - T);
    if (cache) counted.cacheBytesRead += 2 * 4 * B * K * S * D;
  };
  try {
    model.forward(inputIds(T), cache, probe).dispose();
  } finally {
    backend.runKernel = runKernel;
  }
  for (const [id, bytes] of weightSizes) if (read.has(id)) counted.weightBytes += bytes;
  cache?.dispose();
  model.dispose();
  return counted;
}
