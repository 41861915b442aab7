import * as tf from "@tensorflow/tfjs-core";
import type { TypedArray } from "@tensorflow/tfjs-core";
import { InputError } from "../../errors.js";
import { Graph, type NodeType, TYPES } from "./graph.js";
import { registerKernels } from "./kernels.js";

/** The recorder's name among TensorFlow.js's backends. */
export const RECORDER = "recorder";

/** A variable that holds a tensor of another engine, which the recorded operations use: a weight. */
export interface Weight {
  readonly handle: string;
  readonly tensor: tf.TensorInfo;
}

/** A variable that begins as zeros. */
export interface Room {
  readonly handle: string;
  readonly shape: readonly number[];
}

/**
 * A TensorFlow.js backend that computes nothing: each of its kernels adds the operation to a TensorFlow graph. Running
 * the model's own code on it therefore writes down what the model does, once, for TensorFlow to do in one call.
 *
 * Its tensors are names of nodes. A tensor that another engine made becomes a variable of the graph when an operation
 * uses it, so weights need no word from the model.
 */
export class Recorder extends tf.KernelBackend {
  readonly graph = new Graph();
  readonly weights: Weight[] = [];
  readonly rooms: Room[] = [];
  private readonly names = new WeakMap<object, string>(); // of the nodes behind dataIds
  private tensors = 0;

  /** A tensor that stands for a node's output. */
  tensor<R extends tf.Rank>(
    name: string,
    shape: readonly number[],
    dtype: NodeType = "float32",
  ): tf.Tensor<R> {
    return tf.engine().makeTensorFromTensorInfo(this.info(name, shape, dtype), this) as tf.Tensor<R>;
  }

  /** The same for kernels, whose outputs TensorFlow.js makes tensors of itself. */
  info(name: string, shape: readonly number[], dtype: NodeType): tf.TensorInfo {
    const dataId = {};
    this.names.set(dataId, name);
    this.tensors++;
    return { dataId, shape: [...shape], dtype };
  }

  /** The node behind a tensor. */
  nameOf(tensor: tf.TensorInfo): string {
    return this.names.get(tensor.dataId) ?? this.readVariable(tensor);
  }

  /** Declares a variable of zeros that keeps what is written into it from run to run; returns its handle. */
  room(name: string, shape: readonly number[]): string {
    const handle = this.variable(name, shape);
    this.rooms.push({ handle, shape });
    return handle;
  }

  // Declared and read once, whatever call uses it first: all calls share it.
  private readVariable(tensor: tf.TensorInfo): string {
    const handle = this.variable(`weight${this.weights.length}`, tensor.shape);
    this.weights.push({ handle, tensor });
    const value = this.graph.add(
      "ReadVariableOp",
      [handle],
      { dtype: { type: "float32" } },
      `${handle}/value`,
    );
    this.names.set(tensor.dataId, value);
    return value;
  }

  /** Variables live on the device. `NAME/fill` fills one with what is fed to `NAME/from`. */
  private variable(name: string, shape: readonly number[]): string {
    const dtype = { type: "float32" } as const;
    const attributes = { dtype, shape: { shape }, shared_name: { text: name }, container: { text: "" } };
    const handle = this.graph.add("VarHandleOp", [], attributes, name);
    const from = this.graph.add("Placeholder", [], { dtype, shape: { shape } }, `${name}/from`);
    this.graph.add("AssignVariableOp", [handle, from], { dtype }, `${name}/fill`);
    return handle;
  }

  override write(values: TypedArray, shape: number[], dtype: tf.DataType): object {
    if (!(dtype in TYPES)) throw new InputError(`a recorded graph cannot hold numbers of type ${dtype}`);
    const dataId = {};
    this.names.set(dataId, this.graph.constant(values, shape, dtype as NodeType));
    this.tensors++;
    return dataId;
  }

  override disposeData(): boolean {
    this.tensors--;
    return true; // the node stays: the graph is what is wanted
  }

  override numDataIds = (): number => this.tensors;
  override incRef = (): void => {};
  override floatPrecision = (): 32 => 32;
  override epsilon = (): number => 1e-7;
  override dispose = (): void => {};

  override readSync(): never {
    throw new InputError("a value was asked for while a step is recorded; there are none until it is run");
  }
  override read(): Promise<never> {
    return Promise.reject(new InputError("a value was asked for while a step is recorded"));
  }
}

/**
 * Runs some of the model's code on a recorder, which notes down what it would compute. The recorder takes the engine's
 * place for that time, which therefore must not be interrupted: `setBackend` returns a promise, but is done at once for
 * backends that start at once, as both do.
 *
 * @throws InputError for an operation that the recorder does not know, by its name
 */
export async function record(recorder: Recorder, run: () => void): Promise<void> {
  const engine = tf.getBackend();
  registerKernels(RECORDER);
  tf.registerBackend(RECORDER, () => recorder);
  void tf.setBackend(RECORDER);
  try {
    tf.tidy(run);
  } catch (error) {
    const missing = /Kernel '(\w+)' not registered/.exec((error as Error).message)?.[1];
    if (missing)
      throw new InputError(`operation ${missing} cannot be recorded; the model must do without it`);
    throw error;
  } finally {
    void tf.setBackend(engine);
    tf.removeBackend(RECORDER);
  }
}
