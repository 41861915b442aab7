import * as tf from "@tensorflow/tfjs-core";
import type { TypedArray } from "@tensorflow/tfjs-core";
import { InputError } from "../util/errors.js";
import { Graph, type NodeType, type TensorType, TYPES } from "./graph.js";
import { registerKernels } from "./kernels.js";

/** The recorder's name among TensorFlow.js's backends. */
export const RECORDER = "recorder";

/** How matrices of weights are stored. */
export type WeightType = "float32" | "bfloat16";

/** A variable that holds a tensor of another backend, which the recorded operations use: a weight. */
export interface Weight {
  readonly handle: string;
  readonly tensor: tf.TensorInfo;
  /** The node that reads it as float32. */
  readonly value: string;
}

/** A node that holds a tensor. */
export interface Stored {
  readonly name: string;
  readonly type: NodeType;
}

/**
 * A TensorFlow.js backend that computes nothing: each of its kernels adds the operation to a TensorFlow graph. Running
 * the model's own code on it therefore writes down what the model does, once, for TensorFlow to do in one call.
 *
 * Its tensors are names of nodes. A tensor that another backend made becomes a variable of the graph when an operation
 * uses it, so weights need no word from the model.
 */
export class Recorder extends tf.KernelBackend {
  readonly graph = new Graph();
  readonly weights: Weight[] = [];
  /** Handles of the variables that are no weights. */
  readonly rooms: string[] = [];
  private readonly stored = new WeakMap<object, Stored>(); // by dataId
  private tensors = 0;

  /** @param weightType of matrices; what a vector of weights would save is nothing */
  constructor(readonly weightType: WeightType = "float32") {
    super();
  }

  /** A tensor that stands for a node's output. */
  tensor<R extends tf.Rank>(
    name: string,
    shape: readonly number[],
    dtype: TensorType = "float32",
  ): tf.Tensor<R> {
    return tf.engine().makeTensorFromTensorInfo(this.info(name, shape, dtype), this) as tf.Tensor<R>;
  }

  /** The same for kernels, whose outputs TensorFlow.js makes tensors of itself. */
  info(name: string, shape: readonly number[], dtype: TensorType): tf.TensorInfo {
    const dataId = {};
    this.stored.set(dataId, { name, type: dtype });
    this.tensors++;
    return { dataId, shape: [...shape], dtype };
  }

  /** The node behind a tensor, as it is stored: for kernels that can use a bfloat16 matrix as it is. */
  storedAs(tensor: tf.TensorInfo): Stored {
    return this.stored.get(tensor.dataId) ?? this.readVariable(tensor);
  }

  /** The node behind a tensor, of the type that the tensor has. */
  nameOf(tensor: tf.TensorInfo): string {
    const { name, type } = this.storedAs(tensor);
    return type === "bfloat16" ? this.graph.cast(name, type, "float32") : name;
  }

  /** Declares a variable that keeps what is written into it from run to run; `NAME/fill` makes it zeros. */
  room(name: string, shape: readonly number[]): string {
    this.graph.enter(name);
    const dims = this.graph.constant(shape, [shape.length], "int32");
    const zero = this.graph.constant([0], [], "float32");
    const types = { T: { type: "float32" }, index_type: { type: "int32" } } as const;
    this.variable(name, shape, "float32", this.graph.add("Fill", [dims, zero], types));
    this.rooms.push(name);
    return name;
  }

  // Declared and read once, whatever call uses it first: all calls share it.
  private readVariable(tensor: tf.TensorInfo): Stored {
    const type = tensor.shape.length === 2 ? this.weightType : "float32";
    const handle = `weight${this.weights.length}`;
    const from = this.graph.add("Placeholder", [], { dtype: { type: "float32" }, shape: { shape: tensor.shape } }, `${handle}/from`); // prettier-ignore
    const rounded = type === "float32" ? from : this.graph.cast(from, "float32", type, `${handle}/rounded`);
    this.variable(handle, tensor.shape, type, rounded);
    const name = this.graph.add("ReadVariableOp", [handle], { dtype: { type } }, `${handle}/value`);
    const value = type === "float32" ? name : this.graph.cast(name, type, "float32", `${handle}/float32`);
    this.weights.push({ handle, tensor, value });
    const stored = { name, type };
    this.stored.set(tensor.dataId, stored);
    return stored;
  }

  /** Declares a variable, which lives on the device; `NAME/fill` gives it a node's value. */
  private variable(name: string, shape: readonly number[], type: NodeType, value: string): void {
    const dtype = { type };
    const attributes = { dtype, shape: { shape }, shared_name: { text: name }, container: { text: "" } };
    this.graph.add("VarHandleOp", [], attributes, name);
    this.graph.add("AssignVariableOp", [name, value], { dtype }, `${name}/fill`);
  }

  override write(values: TypedArray, shape: number[], dtype: tf.DataType): object {
    if (!(dtype in TYPES)) throw new InputError(`a recorded graph cannot hold numbers of type ${dtype}`);
    const dataId = {};
    const type = dtype as NodeType;
    this.stored.set(dataId, { name: this.graph.constant(values, shape, type), type });
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
 * Runs some of the model's code on a recorder, which notes down what it would compute. The recorder takes the backend's
 * place for that time, which therefore must not be interrupted: `setBackend` returns a promise, but is done at once for
 * backends that start at once, as both do.
 *
 * @throws InputError for an operation that the recorder does not know, by its name
 */
export function record(recorder: Recorder, run: () => void): void {
  const backend = tf.getBackend();
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
    void tf.setBackend(backend);
    tf.removeBackend(RECORDER);
  }
}
