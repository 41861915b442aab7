import type { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { Backend } from "./backend.js";
import { copyRows, registerKVCacheRows } from "./kv-cache-rows.js";
import { copyIntoCache, registerKVCacheWrite } from "./kv-cache-write.js";

/** Loads the plain JavaScript backend: slow, but it runs everywhere; the reference in tests. */
export async function load(): Promise<Backend> {
  await import("@tensorflow/tfjs-backend-cpu");
  const valuesOf = (backend: MathBackendCPU, { dataId }: TensorInfo) => backend.data.get(dataId).values;
  registerKVCacheWrite("cpu", copyIntoCache(valuesOf));
  const allocate = (backend: MathBackendCPU, shape: number[]) =>
    backend.makeTensorInfo(shape, "float32", new Float32Array(shape[0]! * shape[1]!));
  registerKVCacheRows("cpu", copyRows(valuesOf, allocate));
  return { name: "cpu", device: "cpu", description: "cpu (plain JavaScript)" };
}
