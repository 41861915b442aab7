import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import type { Backend } from "./backend.js";
import { registerKVCacheWrite, writeRows } from "./kv-cache-write.js";

/** Plain JavaScript: slow, and everywhere. The last resort, and a referee in tests. */
export async function load(): Promise<Backend> {
  await import("@tensorflow/tfjs-backend-cpu");
  registerKVCacheWrite<MathBackendCPU>("cpu", (backend, cache, update, position) => {
    const valuesOf = (tensor: TensorInfo) => backend.data.get(tensor.dataId).values as Float32Array;
    writeRows(valuesOf(cache), valuesOf(update), cache.shape, position);
  });
  return { name: "cpu", device: "cpu", description: "cpu (plain JavaScript)" };
}
