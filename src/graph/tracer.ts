import * as tf from "@tensorflow/tfjs-core";
import type { TypedArray } from "@tensorflow/tfjs-core";
import { formOf } from "../backend/packed-weight.js";
import { InputError } from "../util/errors.js";
import { JointMatrices } from "./joint-matrices.js";
import { Graph, type NodeType, type TensorType, TYPES } from "./graph.js";

/** Dtype of the weight matrices in a graph. */
export type WeightType = "float32" | "bfloat16";

/** A weight of the graph: a tensor of another backend that a traced operation uses. */
export interface GraphWeight {
  /** Its values come from the input `NAME/from`; `NAME/float32` reads them. */
  readonly name: string;
  /** The variable that holds it, alone or beside others. */
  readonly variable: string;
  readonly tensor: tf.TensorInfo;
}

/** A node's output. */
export interface NodeOutput {
  readonly name: string;
  readonly type: NodeType;
}

/**
 * A TensorFlow.js backend that computes nothing: its kernels add operations to a TensorFlow graph, and its tensors
 * stand for nodes. A model that runs on it is thereby written down as a graph, once.
 *
 * A tensor of another backend becomes a variable of the graph when an operation first uses it, so the model need not
 * declare its weights.
 */
export class Tracer extends tf.KernelBackend {
  readonly graph = new Graph();
  readonly weights: GraphWeight[] = [];
  /** Handles of the KV cache's variables. */
  readonly cacheVariables: string[] = [];
  private readonly outputs = new WeakMap<object, NodeOutput>(); // by dataId

  /** Matrices that are stored beside each other. */
  readonly joint: JointMatrices;

  /**
   * @param weightType of the matrices; vectors are always float32, as they take hardly any memory
   * @param lists      of matrices to store beside each other, see `JointMatrices`
   */
  constructor(
    readonly weightType: WeightType = "float32",
    lists: readonly (readonly tf.TensorInfo[])[] = [],
  ) {
    super();
    this.joint = new JointMatrices(lists);
  }

  /** Makes a tensor that stands for a node's output. */
  tensor<R extends tf.Rank>(name: string, shape: readonly number[], dtype: TensorType): tf.Tensor<R> {
    return tf.engine().makeTensorFromTensorInfo(this.info(name, shape, dtype), this) as tf.Tensor<R>;
  }

  /** Like `tensor`, for kernels: TensorFlow.js makes tensors of their outputs itself. */
  info(name: string, shape: readonly number[], dtype: TensorType): tf.TensorInfo {
    return { dataId: this.store({ name, type: dtype }), shape: [...shape], dtype };
  }

  /** The output behind a tensor as it is stored, for kernels that take bfloat16 matrices. */
  outputOf(tensor: tf.TensorInfo): NodeOutput {
    return this.outputs.get(tensor.dataId) ?? this.readWeight(tensor);
  }

  /** The node behind a tensor, with the tensor's own dtype. */
  nameOf(tensor: tf.TensorInfo): string {
    const { name, type } = this.outputOf(tensor);
    return type === "bfloat16" ? this.graph.cast(name, type, "float32") : name;
  }

  /** Declares an input of the graph, whose values each run passes. */
  input<R extends tf.Rank>(name: string, shape: readonly number[], dtype: TensorType): tf.Tensor<R> {
    const attributes = { dtype: { type: dtype }, shape: { shape } };
    const node = this.graph.add("Placeholder", [], attributes, `${this.graph.scope}/${name}`);
    return this.tensor(node, shape, dtype);
  }

  /** Declares a float32 variable that keeps its values between runs; running `NAME/fill` sets it to zeros. */
  cacheVariable(name: string, shape: readonly number[]): string {
    this.graph.scope = name;
    const dims = this.graph.constant(shape, [shape.length], "int32");
    const zero = this.graph.constant([0], [], "float32");
    const types = { T: { type: "float32" }, index_type: { type: "int32" } } as const;
    this.variable(name, shape, "float32", this.graph.add("Fill", [dims, zero], types, `${name}/from`));
    this.addReader(name, `${name}/value`, "float32");
    this.cacheVariables.push(name);
    return name;
  }

  /** Declares a weight's variable and reads it, at its first use; all later uses share the two nodes. */
  private readWeight(tensor: tf.TensorInfo): NodeOutput {
    const { graph, joint } = this;
    const type = tensor.shape.length === 2 ? this.weightType : "float32";
    const variable = `weight${this.weights.length}`;
    const { scope } = graph;
    graph.scope = variable; // these nodes belong to no call
    const list = joint.beside(tensor);
    if (!list) {
      this.variable(variable, tensor.shape, type, this.weightInput(variable, tensor, type));
      this.addWeight({ name: variable, variable, tensor }, `${variable}/value`, type);
    } else {
      const names = list.map((_, i) => `${variable}.${i}`);
      const values = list.map((part, i) => this.weightInput(names[i]!, part, type));
      const shape = [tensor.shape[0]!, list.reduce((sum, part) => sum + part.shape[1]!, 0)];
      this.variable(variable, shape, type, joint.join(graph, values, type));
      const parts = joint.split(graph, list, `${variable}/value`, type);
      for (const [i, part] of list.entries())
        this.addWeight({ name: names[i]!, variable, tensor: part }, parts[i]!, type);
    }
    graph.scope = scope;
    return this.outputs.get(tensor.dataId)!;
  }

  private addWeight(weight: GraphWeight, value: string, type: NodeType): void {
    this.weights.push(weight);
    this.outputs.set(weight.tensor.dataId, { name: value, type });
    this.addReader(weight.name, value, type);
  }

  /** Declares the input `NAME/from`, the values of a weight. Returns the node of the weight as its variable's type. */
  private weightInput(name: string, tensor: tf.TensorInfo, type: NodeType): string {
    const { graph } = this;
    const form = formOf(tensor);
    if (!form) {
      const attributes = { dtype: { type: "float32" }, shape: { shape: tensor.shape } } as const;
      const from = graph.add("Placeholder", [], attributes, `${name}/from`);
      return graph.cast(from, "float32", type);
    }
    const numbers = tf.util.sizeFromShape([...form.shape]);
    const elements = form.type === "bfloat16" ? numbers / 2 : numbers; // int32, of as many bits
    const attributes = { dtype: { type: "int32" }, shape: { shape: [elements] } } as const;
    const from = graph.add("Placeholder", [], attributes, `${name}/from`);
    const bits = graph.add("Bitcast", [from], { T: { type: "int32" }, type: { type: form.type } });
    const shape = graph.constant([...form.shape], [form.shape.length], "int32");
    let value = graph.add("Reshape", [bits, shape], { T: { type: form.type }, Tshape: { type: "int32" } });
    if (form.transposed) {
      const swap = graph.constant([1, 0], [2], "int32");
      const types = { T: { type: form.type }, Tperm: { type: "int32" } } as const;
      value = graph.add("Transpose", [value, swap], types);
    }
    return graph.cast(value, form.type, type);
  }

  /** Declares a variable, which lives on the device; running `NAME/fill` assigns it a node's value, `NAME/value` reads it. */
  private variable(name: string, shape: readonly number[], type: NodeType, value: string): void {
    const { graph } = this;
    const names = { shared_name: { string: name }, container: { string: "" } };
    graph.add("VarHandleOp", [], { dtype: { type }, shape: { shape }, ...names }, name);
    graph.add("AssignVariableOp", [name, value], { dtype: { type } }, `${name}/fill`);
    graph.add("ReadVariableOp", [name], { dtype: { type } }, `${name}/value`);
  }

  /** Adds the node `NAME/float32`, from which another graph can take the values of a variable or of a part of one. */
  private addReader(name: string, value: string, type: NodeType): void {
    if (type !== "float32") this.graph.cast(value, type, "float32", `${name}/float32`);
    else this.graph.add("Identity", [value], { T: { type } }, `${name}/float32`);
  }

  /** Adds a constant: TensorFlow.js calls this for tensors that the model makes of numbers. */
  override write(values: TypedArray, shape: number[], dtype: tf.DataType): object {
    if (!(dtype in TYPES)) {
      throw new InputError(`tensors must be float32, int32 or bool in graph mode, got ${dtype}`);
    }
    const type = dtype as NodeType;
    return this.store({ name: this.graph.constant(values, shape, type), type });
  }

  private store(output: NodeOutput): object {
    const dataId = {};
    this.outputs.set(dataId, output);
    return dataId;
  }

  override readSync(): never {
    throw new InputError("tensor values must not be read while tracing: they exist only when the graph runs");
  }
  override read(): Promise<never> {
    return new Promise(() => this.readSync());
  }

  // Tensors take no memory here: nodes stay in the graph when their tensors are disposed.
  override disposeData = (): boolean => true;
  override numDataIds = (): number => 0;
  override incRef = (): void => {};
  override dispose = (): void => {};
}
