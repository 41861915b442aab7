import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import type { Backend } from "./backend.js";
import { copyIntoCache, registerKVCacheWrite } from "./kv-cache-write.js";

/** Loads the plain JavaScript backend: slow, but it runs everywhere; the reference in tests. */
export async function load(): Promise<Backend> {
  await import("@tensorflow/tfjs-backend-cpu");
  registerKVCacheWrite<MathBackendCPU>("cpu", (backend, cache, update, position) => {
    const valuesOf = (tensor: TensorInfo) => backend.data.get(tensor.dataId).values as Float32Array;
    copyIntoCache(valuesOf(cache), valuesOf(update), cache.shape, position);
  });
  return { name: "cpu", device: "cpu", description: "cpu (plain JavaScript)" };
}
