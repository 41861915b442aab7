import type { KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import { getKernel, registerKernel as register, unregisterKernel } from "@tensorflow/tfjs-core";

/** The arguments of a kernel: the names of its inputs, its attributes, and the backend that it is registered for. */
export interface Call<Inputs extends string, Attributes, Backend> {
  readonly inputs: Record<Inputs, TensorInfo>;
  readonly attrs: Attributes;
  readonly backend: Backend;
}

/** The attributes of `BatchMatMul`. */
export type MatMulAttributes = Record<"transposeA" | "transposeB", boolean>;

/** Replaces TensorFlow.js's implementation of an operation on a backend. */
export function replaceKernel<C = Parameters<KernelFunc>[0]>(
  kernelName: string,
  backendName: string,
  kernelFunc: (call: C) => TensorInfo | TensorInfo[],
): void {
  const original = getKernel(kernelName, backendName); // its setup function stays: ours may call the original
  unregisterKernel(kernelName, backendName);
  register({ ...original, kernelName, backendName, kernelFunc: kernelFunc as unknown as KernelFunc });
}

/** Registers a backend's implementation of an operation that TensorFlow.js lacks. */
export function registerKernel<C>(
  kernelName: string,
  backendName: string,
  kernelFunc: (call: C) => TensorInfo | TensorInfo[],
): void {
  register({ kernelName, backendName, kernelFunc: kernelFunc as unknown as KernelFunc });
}
