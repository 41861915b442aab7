import * as tf from "@tensorflow/tfjs-core";
import type { NamedAttrMap, NamedTensorMap, Tensor } from "@tensorflow/tfjs-core";

/**
 * Computes an operation that TensorFlow.js lacks: in one call where the backend has a kernel of that name, and by its
 * definition elsewhere. Both give the same numbers up to rounding.
 */
export function inOneCall<T extends Tensor>(
  kernelName: string,
  inputs: NamedTensorMap,
  attributes: NamedAttrMap,
  definition: () => T,
): T {
  if (!tf.getKernel(kernelName, tf.getBackend())) return definition();
  return tf.engine().runKernel(kernelName, inputs, attributes) as T;
}
