import { backend, getBackend } from "@tensorflow/tfjs-core";
import type { Tensor, TensorInfo, TypedArray } from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import type { TensorMetadata } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { InputError } from "../util/errors.js";

/** TensorFlow.js's backend with the members that we need and the types of 4.22 declare private. */
export interface TensorFlowBackend extends Pick<
  NodeJSKernelBackend,
  "binding" | "isUsingGpuDevice" | "write" | "disposeData" | "getDTypeInteger"
> {
  /** The native library's ids of tensors; uploads those that it does not have yet. */
  getInputTensorIds(tensors: readonly TensorInfo[]): number[];
  /** Makes a tensor of an operation's output. */
  createOutputTensor(output: TensorMetadata): Tensor;
  /** Runs an operation with one output. */
  executeSingleOutput: NodeJSKernelBackend["executeSingleOutput"];
  createReductionOpAttrs: NodeJSKernelBackend["createReductionOpAttrs"];
  /** The data of each tensor; `values` are those that have not been uploaded yet. */
  readonly tensorMap: { get(dataId: object): { readonly values: TypedArray | null } | undefined };
}

/**
 * The current backend, for features that only TensorFlow has.
 *
 * @param feature for the error message
 * @throws InputError if another backend is current
 */
export function tensorflowBackend(feature: string): TensorFlowBackend {
  const current = backendIfTensorFlow();
  if (current) return current;
  throw new InputError(`${feature} must run on backend tensorflow, got ${getBackend()}`);
}

/** The current backend, if it is TensorFlow's. */
export function backendIfTensorFlow(): TensorFlowBackend | undefined {
  const current = backend();
  return "binding" in current ? (current as unknown as TensorFlowBackend) : undefined;
}

/**
 * Uploads a tensor's values to the native library now. TensorFlow.js would do so at its first use and keep the values
 * in JavaScript's memory until then: the first forward pass would hold all weights twice.
 */
export function upload(tensor: TensorInfo): void {
  backendIfTensorFlow()?.getInputTensorIds([tensor]);
}
