import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { InputError } from "../util/errors.js";

// oxlint-disable no-underscore-dangle -- Emscripten's names

/** The memory interface of TensorFlow.js's WebAssembly module. */
interface Heap {
  _malloc: (bytes: number) => number;
  readonly _free: (address: number) => void;
  readonly HEAPU8: Uint8Array;
  /** The module's exports. */
  readonly asm: { readonly memory: WebAssembly.Memory };
}

/** The module's heap, which its types leave out. */
const heapOf = (backend: BackendWasm): Heap => backend.wasm as unknown as Heap;

/** The addresses of tensors' first bytes. */
export const addressesOf = <Tensors extends readonly TensorInfo[]>(
  backend: BackendWasm,
  ...tensors: Tensors
): { [K in keyof Tensors]: number } =>
  tensors.map(({ dataId }) => backend.getMemoryOffset(dataId)) as { [K in keyof Tensors]: number };

/** Runs a function with the address of memory that it needs for a time. */
export function withMemory<R>(backend: BackendWasm, bytes: number, run: (address: number) => R): R {
  const heap = heapOf(backend);
  const address = heap._malloc(bytes);
  try {
    return run(address);
  } finally {
    heap._free(address);
  }
}

/**
 * Makes allocation throw an InputError when the heap is full. Near 4 GiB the module's malloc returns 0 or an address
 * past the end of the heap, and TensorFlow.js would overwrite other tensors without an error.
 */
export function guardHeap(backend: BackendWasm): void {
  const heap = heapOf(backend);
  heap._free(heap._malloc(1)); // the first call replaces the function itself
  const malloc = heap._malloc;
  heap._malloc = (bytes) => {
    const address = malloc(bytes) >>> 0;
    if (bytes > 0 && (address === 0 || address + bytes > heap.HEAPU8.length)) {
      throw new InputError(
        `WebAssembly's heap is full: it ends at 4 GiB and cannot hold ${bytes} bytes more; backend tensorflow has no such limit`,
      );
    }
    return address;
  };
}

/**
 * A module of functions of our own, instantiated on the backend's heap.
 *
 * @param code in base64
 */
export function instantiate<Functions>(backend: BackendWasm, code: string): Functions {
  const bytes = Uint8Array.from(atob(code), (character) => character.charCodeAt(0));
  const imports = { backend: { memory: heapOf(backend).asm.memory } };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
  return exports as unknown as Functions;
}
