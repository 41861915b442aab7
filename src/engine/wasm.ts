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
import { InputError } from "../errors.js";
import type { Engine } from "./engine.js";
import { registerKVCacheWrite, writeRows } from "./kv-cache-write.js";
import { replaceKernel } from "./replace-kernel.js";
import { matMul } from "./wasm-products.js";
import { slice } from "./wasm-slice.js";

/**
 * The embedded engine: WebAssembly with XNNPACK's matrix products, which npm brings along. For small models: its heap
 * ends at 4 GiB, and weights are held twice there (once packed for the products).
 */
export async function load(): Promise<Engine> {
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
  guardHeap((currentBackend() as BackendWasm).wasm as unknown as Heap); // its types leave these out
  return { name: "wasm", device: "cpu", description: "wasm (WebAssembly with SIMD, one thread)" };
}

/** TensorFlow.js's own product of matrices, which ours makes use of. */
let ownMatMul: KernelFunc | undefined;

// oxlint-disable no-underscore-dangle -- Emscripten's names

/** The part of the WebAssembly module that is guarded. */
interface Heap {
  _malloc: (bytes: number) => number;
  readonly _free: (address: number) => void;
  readonly HEAPU8: Uint8Array;
}

const guarded = new WeakSet<Heap>();

/**
 * Makes a full heap an error. Near 4 GiB the module's malloc returns 0, or even an address behind the heap's end, and
 * TensorFlow.js would write there: over other tensors, without a word.
 */
function guardHeap(heap: Heap): void {
  if (guarded.has(heap)) return;
  guarded.add(heap);
  heap._free(heap._malloc(1)); // the first call puts another function in its own place
  const malloc = heap._malloc;
  heap._malloc = (bytes) => {
    const address = malloc(bytes) >>> 0;
    if (bytes > 0 && (address === 0 || address + bytes > heap.HEAPU8.length)) {
      throw new InputError(
        `WebAssembly's heap is full: ${bytes} bytes more were asked for, and it ends at 4 GiB; use --engine tensorflow`,
      );
    }
    return address;
  };
}
