import type { KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import { getKernel, registerKernel, unregisterKernel } from "@tensorflow/tfjs-core";

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
  registerKernel({ ...original, kernelName, backendName, kernelFunc: kernelFunc as unknown as KernelFunc });
}
