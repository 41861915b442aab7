import { backend, getBackend } from "@tensorflow/tfjs-core";
import type { Tensor, TensorInfo, TypedArray } from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import type { TensorMetadata } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { InputError } from "../util/errors.js";

/** TensorFlow.js's backend with what it keeps to itself and we need; the types of 4.22 call these private. */
export interface TensorFlowBackend extends Pick<
  NodeJSKernelBackend,
  "binding" | "isUsingGpuDevice" | "write" | "disposeData" | "getDTypeInteger"
> {
  /** The native library's numbers for tensors; hands over those that it does not have yet. */
  getInputTensorIds(tensors: readonly TensorInfo[]): number[];
  /** A tensor of an operation's output. */
  createOutputTensor(output: TensorMetadata): Tensor;
  /** Runs an operation with one output. */
  executeSingleOutput: NodeJSKernelBackend["executeSingleOutput"];
  createReductionOpAttrs: NodeJSKernelBackend["createReductionOpAttrs"];
  /** What is behind each tensor; `values` are numbers that the native library does not have yet. */
  readonly tensorMap: { get(dataId: object): { readonly values: TypedArray | null } | undefined };
}

/**
 * The backend in use, for what only TensorFlow can do.
 *
 * @throws InputError where another backend is in use
 */
export function tensorflowBackend(what: string): TensorFlowBackend {
  const used = backendIfTensorFlow();
  if (used) return used;
  throw new InputError(`${what} is for backend tensorflow; ${getBackend()} computes here`);
}

/** The backend in use, if it is TensorFlow's. */
export function backendIfTensorFlow(): TensorFlowBackend | undefined {
  const used = backend();
  return "binding" in used ? (used as unknown as TensorFlowBackend) : undefined;
}

/**
 * Has the backend take a tensor's numbers over now. TensorFlow would do so when it first computes with them; until then
 * they would be in JavaScript's memory, and all that are first computed with at once would be there twice.
 */
export function handOver(tensor: TensorInfo): void {
  backendIfTensorFlow()?.getInputTensorIds([tensor]);
}
