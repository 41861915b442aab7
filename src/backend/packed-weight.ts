import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, TensorInfo } from "@tensorflow/tfjs-core";
import { tensorflowBackend } from "./tensorflow-backend.js";

/** The form in which a file holds a weight. */
export interface StoredForm {
  readonly type: "float32" | "bfloat16";
  readonly shape: readonly number[];
  /** True if the model's matrix is the transpose of the stored one. */
  readonly transposed: boolean;
}

/** The packed weights that no graph has taken over yet, by their tensors' data. */
const forms = new WeakMap<object, StoredForm>();

/**
 * Makes a weight for graph mode of a file's bytes, which TensorFlow keeps in the host's memory as they are. No operation
 * can use it: the graph that takes it over unpacks it on its device, where a float32 copy of bfloat16 numbers, or a
 * transposed one, would take twice the memory and time here.
 *
 * @param bits the stored numbers, two bfloat16 ones to an element; copied
 * @returns    a float32 tensor of the model's shape
 */
export function packWeight(bits: Int32Array, form: StoredForm): Tensor {
  const backend = tensorflowBackend("a packed weight");
  // TensorFlow.js copies all tensors to the GPU but int32 ones.
  const dataId = backend.write(bits, [bits.length], "int32") as object;
  backend.getInputTensorIds([{ dataId, shape: [bits.length], dtype: "int32" }]);
  forms.set(dataId, form);
  const shape = form.transposed ? form.shape.toReversed() : [...form.shape];
  return tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype: "float32" }, tf.backend());
}

/** The form of a packed weight; undefined for every other tensor. */
export const formOf = ({ dataId }: TensorInfo): StoredForm | undefined => forms.get(dataId);

/** The data of weights that were freed. */
const freed = new WeakSet<object>();

/** True if `freeWeight` has freed a tensor's values. */
export const isFreed = ({ dataId }: TensorInfo): boolean => freed.has(dataId);

/** Frees a weight that a graph has taken over; its tensor stays, without values. */
export function freeWeight({ dataId }: TensorInfo): void {
  freed.add(dataId);
  forms.delete(dataId);
  tensorflowBackend("graph mode").disposeData(dataId, true);
}
