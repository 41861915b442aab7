import {
  backend as currentBackend,
  BatchMatMul,
  getKernel,
  type KernelFunc,
  ready,
  setBackend,
  Slice,
  type TensorInfo,
} from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { Backend } from "./backend.js";
import { registerKVCacheWrite, writeRows } from "./kv-cache-write.js";
import { replaceKernel } from "./replace-kernel.js";
import { guardHeap } from "./wasm-heap.js";
import { matMul } from "./wasm-matmul.js";
import { slice } from "./wasm-slice.js";

/**
 * The embedded backend: WebAssembly with XNNPACK's matrix products, which npm brings along. For small models: its heap
 * ends at 4 GiB, and weights are held twice there (once packed for the products).
 */
export async function load(): Promise<Backend> {
  await import("@tensorflow/tfjs-backend-wasm");
  replaceKernel(Slice, "wasm", slice);
  ownMatMul ??= getKernel(BatchMatMul, "wasm")!.kernelFunc;
  replaceKernel(BatchMatMul, "wasm", matMul(ownMatMul));
  // A tensor is a range of the WebAssembly heap, and can be seen as a typed array.
  registerKVCacheWrite<BackendWasm>("wasm", (backend, cache, update, position) => {
    const heapOf = (tensor: TensorInfo) => backend.typedArrayFromHeap(tensor) as Float32Array;
    writeRows(heapOf(cache), heapOf(update), cache.shape, position);
  });
  await setBackend("wasm");
  await ready();
  guardHeap(currentBackend() as BackendWasm);
  return { name: "wasm", device: "cpu", description: "wasm (WebAssembly with SIMD, one thread)" };
}

/** TensorFlow.js's own product of matrices, which ours makes use of. */
let ownMatMul: KernelFunc | undefined;
