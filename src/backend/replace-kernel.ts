import { getKernel, type KernelConfig, registerKernel, unregisterKernel } from "@tensorflow/tfjs-core";

/** Replaces TensorFlow.js's implementation of an operation on a backend. */
export function replaceKernel(
  kernelName: string,
  backendName: string,
  kernelFunc: KernelConfig["kernelFunc"],
): void {
  const original = getKernel(kernelName, backendName); // its setup function stays: ours may call the original
  unregisterKernel(kernelName, backendName);
  registerKernel({ ...original, kernelName, backendName, kernelFunc });
}
