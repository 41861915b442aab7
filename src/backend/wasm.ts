import * as tf from "@tensorflow/tfjs-core";
import type { KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { Backend } from "./backend.js";
import { copyIntoCache, registerKVCacheWrite } from "./kv-cache-write.js";
import { replaceKernel } from "./replace-kernel.js";
import { guardHeap } from "./wasm-heap.js";
import { matMul } from "./wasm-matmul.js";
import { slice } from "./wasm-slice.js";

/** TensorFlow.js's own matmul, which ours calls. */
let originalMatMul: KernelFunc | undefined;

/**
 * Loads the WebAssembly backend, with XNNPACK's matmuls, which npm installs. For small models: its heap ends at 4 GiB
 * and holds weights twice (XNNPACK keeps a packed copy).
 */
export async function load(): Promise<Backend> {
  await import("@tensorflow/tfjs-backend-wasm");
  replaceKernel(tf.Slice, "wasm", slice);
  originalMatMul ??= tf.getKernel(tf.BatchMatMul, "wasm").kernelFunc;
  replaceKernel(tf.BatchMatMul, "wasm", matMul(originalMatMul));
  // A tensor is a range of the WebAssembly heap, visible as a typed array.
  registerKVCacheWrite<BackendWasm>("wasm", (backend, cache, update, position) => {
    const valuesOf = (tensor: TensorInfo) => backend.typedArrayFromHeap(tensor) as Float32Array;
    copyIntoCache(valuesOf(cache), valuesOf(update), cache.shape, position);
  });
  await tf.setBackend("wasm");
  await tf.ready();
  guardHeap(tf.backend() as BackendWasm);
  return { name: "wasm", device: "cpu", description: "wasm (WebAssembly with SIMD, one thread)" };
}
