import * as tf from "@tensorflow/tfjs-core";
import { KVCache } from "../src/model/kv-cache.js";
import { Llama, type ModelConfig, type Probe } from "../src/index.js";
import { randomWeights } from "../src/model/random-weights.js";
import type { StepCost } from "../src/cost/cost.js";
import { randomIds } from "./support.js";

/**
 * What a forward pass does, counted as it runs, in the terms of `StepCost`: products and weights from the kernels that
 * are called and the tensors they get, K/V rows from what the probe sees.
 *
 * @param past positions that are in the cache before
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
  const held = new Map(tensors.map(({ dataId, size }) => [dataId, 4 * size])); // one entry for tied heads
  const cache = useCache ? new KVCache(config, B, past + T + 5) : undefined;
  const rows = (length: number) => Array.from({ length: B }, (_, i) => randomIds(length, i));
  if (past > 0) model.forward(rows(past), cache).dispose();

  const counted = { flops: 0, weightBytes: 0, cacheBytesRead: 0, cacheBytesWritten: 0, kvRowsComputed: 0, kvRowsReused: 0 }; // prettier-ignore
  const read = new Set<object>();
  const backend = tf.engine();
  const { runKernel } = backend;
  backend.runKernel = ((name: string, inputs: tf.NamedTensorMap, attributes?: tf.NamedAttrMap) => {
    const result = runKernel.call(backend, name, inputs, attributes);
    if (/MatMul/.test(name)) {
      const { shape } = result as tf.Tensor;
      const [n, m] = shape.toReversed() as [number, number];
      const products = tf.util.sizeFromShape(shape) / (m * n);
      const inner = inputs["a"]!.size / (products * m);
      counted.flops += 2 * products * m * inner * n;
    }
    if (name === "KVCacheWrite") counted.cacheBytesWritten += 4 * inputs["update"]!.size;
    if (name === "GatherV2") return result; // reads some rows only, counted below
    for (const { dataId } of Object.values(inputs)) read.add(dataId);
    return result;
  }) as typeof runKernel;
  const { nKvHeads: K, headDim: D } = config;
  const probe: Probe = (name, _, tensor) => {
    if (name === "embedding") counted.weightBytes += 4 * tensor.size;
    if (name === "attention.key") counted.kvRowsComputed += tensor.size / D;
    if (name !== "attention.weights") return;
    const S = tensor.shape.at(-1)!;
    counted.kvRowsReused += B * K * (S - T);
    if (cache) counted.cacheBytesRead += 2 * 4 * B * K * S * D;
  };
  try {
    model.forward(rows(T), cache, probe).dispose();
  } finally {
    backend.runKernel = runKernel;
  }
  for (const [id, bytes] of held) if (read.has(id)) counted.weightBytes += bytes;
  cache?.dispose();
  model.dispose();
  return counted;
}
