import * as tf from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { Backend } from "./backend.js";
import { copyRows, registerKVCacheRows } from "./kv-cache-rows.js";
import { copyIntoCache, registerKVCacheWrite } from "./kv-cache-write.js";
import { registerKernel, replaceKernel } from "./replace-kernel.js";
import { guardHeap } from "./wasm-heap.js";
import { matMul } from "./wasm-matmul.js";
import { smallBinary } from "./wasm-binary.js";
import { rmsNorm, rotate } from "./wasm-elementwise.js";
import { slice } from "./wasm-slice.js";

let loaded = false;

/**
 * Loads the WebAssembly backend, which npm installs, with matmuls of our own. For small models: its heap ends at 4 GiB.
 */
export async function load(): Promise<Backend> {
  await import("@tensorflow/tfjs-backend-wasm");
  await tf.setBackend("wasm");
  await tf.ready();
  if (!loaded) {
    replaceKernel(tf.Slice, "wasm", slice(tf.getKernel(tf.Slice, "wasm").kernelFunc));
    replaceKernel(tf.BatchMatMul, "wasm", matMul(tf.getKernel(tf.BatchMatMul, "wasm").kernelFunc));
    for (const operation of ["Add", "Multiply"] as const) {
      replaceKernel(operation, "wasm", smallBinary(operation, tf.getKernel(operation, "wasm").kernelFunc));
    }
    registerKernel("RMSNorm", "wasm", rmsNorm);
    registerKernel("Rotate", "wasm", rotate);
    // A tensor is a range of the WebAssembly heap, visible as a typed array.
    const valuesOf = (backend: BackendWasm, tensor: tf.TensorInfo) => backend.typedArrayFromHeap(tensor);
    registerKVCacheWrite("wasm", copyIntoCache(valuesOf));
    const allocate = (backend: BackendWasm, shape: number[]) => backend.makeOutput(shape, "float32");
    registerKVCacheRows("wasm", copyRows(valuesOf, allocate));
    guardHeap(tf.backend() as BackendWasm);
    loaded = true;
  }
  return { name: "wasm", device: "cpu", description: "wasm (WebAssembly with SIMD, one thread)" };
}
