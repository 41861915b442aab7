import { getKernel, type KernelConfig, registerKernel, unregisterKernel } from "@tensorflow/tfjs-core";

/** Puts our version of an operation in the place of TensorFlow.js's own, where that one has a flaw we cannot live with. */
export function replaceKernel(
  kernelName: string,
  backendName: string,
  kernelFunc: KernelConfig["kernelFunc"],
): void {
  const own = getKernel(kernelName, backendName); // what it sets up before its first call stays, ours may call it
  unregisterKernel(kernelName, backendName);
  registerKernel({ ...own, kernelName, backendName, kernelFunc });
}
