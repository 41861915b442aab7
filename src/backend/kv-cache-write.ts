import * as tf from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";

/**
 * The one operation that a KV cache needs and TensorFlow.js lacks: writing into a tensor in place. Its own operations
 * with the same result (concat, scatter) copy all past positions to add one. Each backend registers its own kernel.
 */
const KERNEL = "KVCacheWrite";

/**
 * Writes `update` into `cache` at positions position … position+T-1, in place. The first dimension of both is B*K, one
 * entry per sequence and KV head.
 *
 * @param cache  [B*K, L, D], changed by the call
 * @param update [B*K, T, D]
 * @throws RangeError if the shapes do not match or the update ends after position L
 */
export function kvCacheWrite(cache: tf.Tensor3D, update: tf.Tensor3D, position: number): void {
  const [heads, L, D] = cache.shape;
  const [updateHeads, T, updateD] = update.shape;
  if (updateHeads !== heads || updateD !== D || position < 0 || position + T > L) {
    throw new RangeError(
      `cannot write [${update.shape}] at position ${position} of a cache of [${cache.shape}]`,
    );
  }
  tf.engine().runKernel(KERNEL, { cache, update }, { position });
}

/** A backend's implementation of `kvCacheWrite`, for arguments that have been checked. */
type WriteInPlace<Backend> = (
  backend: Backend,
  cache: TensorInfo,
  update: TensorInfo,
  position: number,
) => void;

/** Registers a backend's implementation, once; called when the backend is loaded. */
export function registerKVCacheWrite<Backend>(backendName: string, write: WriteInPlace<Backend>): void {
  const kernelFunc: KernelConfig["kernelFunc"] = ({ inputs, attrs, backend }) => {
    const { cache, update } = inputs as { cache: TensorInfo; update: TensorInfo };
    write(backend as Backend, cache, update, (attrs as { position: number }).position);
    return []; // no new tensor: the result is in the cache
  };
  if (!tf.getKernel(KERNEL, backendName)) tf.registerKernel({ kernelName: KERNEL, backendName, kernelFunc });
}

/** `KVCacheWrite` for backends whose tensors are typed arrays: the T positions of a head are contiguous in both. */
export const copyIntoCache =
  <Backend>(valuesOf: (backend: Backend, tensor: TensorInfo) => unknown): WriteInPlace<Backend> =>
  (backend, cache, update, position) => {
    const [heads, L, D] = cache.shape as [number, number, number];
    const [to, from] = [cache, update].map((tensor) => valuesOf(backend, tensor)) as [
      Float32Array,
      Float32Array,
    ];
    const size = from.length / heads; // T*D
    for (let head = 0; head < heads; head++) {
      to.set(from.subarray(head * size, (head + 1) * size), (head * L + position) * D);
    }
  };
