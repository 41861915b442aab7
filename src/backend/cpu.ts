import type { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import type { Backend } from "./backend.js";
import { copyIntoCache, registerKVCacheWrite } from "./kv-cache-write.js";

/** Loads the plain JavaScript backend: slow, but it runs everywhere; the reference in tests. */
export async function load(): Promise<Backend> {
  await import("@tensorflow/tfjs-backend-cpu");
  const write = copyIntoCache<MathBackendCPU>((backend, { dataId }) => backend.data.get(dataId).values);
  registerKVCacheWrite("cpu", write);
  return { name: "cpu", device: "cpu", description: "cpu (plain JavaScript)" };
}
