import * as tf from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";

/**
 * The one operation that TensorFlow.js lacks for a KV cache: writing into a tensor in place. Its own ways to the same
 * result (concat, scatter) copy the whole past to add one position. Every backend registers its version of this kernel.
 */
const KERNEL = "KVCacheWrite";

/**
 * Writes `update` into `cache` at positions position … position+T-1, in place.
 *
 * @param cache  [R, L, D], changed by the call
 * @param update [R, T, D]
 * @throws RangeError when the two do not fit together
 */
export function kvCacheWrite(cache: tf.Tensor3D, update: tf.Tensor3D, position: number): void {
  const [R, L, D] = cache.shape;
  const [rows, T, width] = update.shape;
  if (rows !== R || width !== D || position < 0 || position + T > L) {
    throw new RangeError(
      `cannot write [${update.shape}] at position ${position} of a cache of [${cache.shape}]`,
    );
  }
  tf.engine().runKernel(KERNEL, { cache, update }, { position });
}

/** What an backend does to write in place. */
export type WriteInPlace<Backend> = (
  backend: Backend,
  cache: TensorInfo,
  update: TensorInfo,
  position: number,
) => void;

/** Registers an backend's way to write in place; called once, when the backend is loaded. */
export function registerKVCacheWrite<Backend>(backendName: string, write: WriteInPlace<Backend>): void {
  const kernelFunc: KernelConfig["kernelFunc"] = ({ inputs, attrs, backend }) => {
    const { cache, update } = inputs as { cache: TensorInfo; update: TensorInfo };
    write(backend as Backend, cache, update, (attrs as { position: number }).position);
    return []; // nothing new: the result is in the cache
  };
  if (!tf.getKernel(KERNEL, backendName)) tf.registerKernel({ kernelName: KERNEL, backendName, kernelFunc });
}

/** The write itself, for backends whose tensors are typed arrays: each row's new positions are one run in both. */
export function writeRows(
  cache: Float32Array,
  update: Float32Array,
  shape: readonly number[],
  position: number,
): void {
  const [R, L, D] = shape as [number, number, number];
  const run = update.length / R; // T*D numbers
  for (let row = 0; row < R; row++) {
    cache.set(update.subarray(row * run, (row + 1) * run), (row * L + position) * D);
  }
}
