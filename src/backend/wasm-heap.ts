import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { InputError } from "../util/errors.js";

// oxlint-disable no-underscore-dangle -- Emscripten's names

/** The part of the WebAssembly module that hands out memory. */
export interface Heap {
  _malloc: (bytes: number) => number;
  readonly _free: (address: number) => void;
  readonly HEAPU8: Uint8Array;
  /** What the module exports. */
  readonly asm: { readonly memory: WebAssembly.Memory };
}

/** The module's heap, which its types leave out. */
export const heapOf = (backend: BackendWasm): Heap => backend.wasm as unknown as Heap;

const guarded = new WeakSet<Heap>();

/**
 * Makes a full heap an error. Near 4 GiB the module's malloc returns 0, or even an address behind the heap's end, and
 * TensorFlow.js would write there: over other tensors, without a word.
 */
export function guardHeap(backend: BackendWasm): void {
  const heap = heapOf(backend);
  if (guarded.has(heap)) return;
  guarded.add(heap);
  heap._free(heap._malloc(1)); // the first call puts another function in its own place
  const malloc = heap._malloc;
  heap._malloc = (bytes) => {
    const address = malloc(bytes) >>> 0;
    if (bytes > 0 && (address === 0 || address + bytes > heap.HEAPU8.length)) {
      throw new InputError(
        `WebAssembly's heap is full: ${bytes} bytes more were asked for, and it ends at 4 GiB; use --backend tensorflow`,
      );
    }
    return address;
  };
}

/**
 * Makes sure that code inside the module, whose own calls of malloc no guard sees, will find so many bytes.
 *
 * @throws InputError where the heap has no such place
 */
export function ensureRoom(backend: BackendWasm, bytes: number): void {
  const heap = heapOf(backend);
  heap._free(heap._malloc(bytes));
}
