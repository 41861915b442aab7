import * as tf from "@tensorflow/tfjs-core";
import type { KernelConfig, Tensor2D, TensorInfo } from "@tensorflow/tfjs-core";

/** The two operations of a paged cache, whose positions are rows in any order of one matrix. */
const WRITE = "KVCacheWriteRows";
const READ = "KVCacheReadRows";

/** Writes row i of `update`, [n, D], into row rows[i] of `cache`, [N, D], in place. */
export function kvCacheWriteRows(cache: Tensor2D, update: Tensor2D, rows: Int32Array): void {
  tf.engine().runKernel(WRITE, { cache, update }, { rows } as object as tf.NamedAttrMap);
}

/**
 * The given rows of `cache`, [N, W], as a new matrix, [n, W]. TensorFlow.js's gather does the same number by number on
 * WebAssembly, where a decode step took four times as long with it.
 */
export function kvCacheReadRows(cache: Tensor2D, rows: Int32Array): Tensor2D {
  return tf.engine().runKernel(READ, { cache }, { rows } as object as tf.NamedAttrMap) as Tensor2D;
}

/** A backend's implementations of `kvCacheWriteRows` and `kvCacheReadRows`. */
export interface RowKernels<Backend> {
  readonly write: (backend: Backend, cache: TensorInfo, update: TensorInfo, rows: Int32Array) => void;
  readonly read: (backend: Backend, cache: TensorInfo, rows: Int32Array) => TensorInfo;
}

/** Registers a backend's implementations, once; called when the backend is loaded. */
export function registerKVCacheRows<Backend>(
  backendName: string,
  { write, read }: RowKernels<Backend>,
): void {
  type Call = { inputs: object; attrs?: object; backend: unknown };
  const argumentsOf = ({ inputs, attrs, backend }: Call) => ({
    backend: backend as Backend,
    ...(inputs as { cache: TensorInfo; update: TensorInfo }),
    ...(attrs as { rows: Int32Array }),
  });
  const register = (kernelName: string, kernelFunc: KernelConfig["kernelFunc"]) => {
    if (!tf.getKernel(kernelName, backendName)) tf.registerKernel({ kernelName, backendName, kernelFunc });
  };
  register(WRITE, (call) => {
    const { backend, cache, update, rows } = argumentsOf(call);
    write(backend, cache, update, rows);
    return []; // no new tensor: the result is in the cache
  });
  register(READ, (call) => {
    const { backend, cache, rows } = argumentsOf(call);
    return read(backend, cache, rows);
  });
}

/** `RowKernels` for backends whose tensors are typed arrays. */
export function copyRows<Backend>(
  valuesOf: (backend: Backend, tensor: TensorInfo) => unknown,
  allocate: (backend: Backend, shape: number[]) => TensorInfo,
): RowKernels<Backend> {
  const array = valuesOf as (backend: Backend, tensor: TensorInfo) => Float32Array;
  return {
    write: (backend, cache, update, rows) => {
      const [to, from, width] = [array(backend, cache), array(backend, update), cache.shape[1]!];
      for (const [i, row, n] of runsOf(rows)) to.set(from.subarray(i * width, (i + n) * width), row * width);
    },
    read: (backend, cache, rows) => {
      const width = cache.shape[1]!;
      const out = allocate(backend, [rows.length, width]); // may move the heap: read both afterwards
      const [to, from] = [array(backend, out), array(backend, cache)];
      for (const [i, row, n] of runsOf(rows))
        to.set(from.subarray(row * width, (row + n) * width), i * width);
      return out;
    },
  };
}

/** Runs of consecutive rows, which are copied as one: their place in the list, the first row, and how many there are. */
function runsOf(rows: Int32Array): [index: number, row: number, length: number][] {
  const runs: [number, number, number][] = [];
  for (let i = 0, end = 1; i < rows.length; i = end++) {
    while (rows[end] === rows[end - 1]! + 1) end++;
    runs.push([i, rows[i]!, end - i]);
  }
  return runs;
}
