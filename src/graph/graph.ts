import type { TypedArray } from "@tensorflow/tfjs-core";

/** The dtypes of a graph, with TensorFlow's numbers for them (types.proto). A resource is a variable's handle. */
export const TYPES = { float32: 1, float64: 2, int32: 3, bool: 10, bfloat16: 14, resource: 20 } as const;

/** A dtype of a graph. */
export type NodeType = keyof typeof TYPES;

/** A dtype that TensorFlow.js has tensors of, too. */
export type TensorType = "float32" | "int32" | "bool";

/** An operation's attribute, in one of the kinds that TensorFlow's AttrValue has. */
export type Attribute =
  | { readonly type: NodeType }
  | { readonly shape: readonly number[] }
  | { readonly bool: boolean }
  | { readonly string: string }
  | { readonly int: number }
  | { readonly function: string }
  | { readonly types: readonly NodeType[] }
  | { readonly tensor: Constant };

/** Values that are part of the graph. */
export interface Constant {
  readonly values: TypedArray | readonly number[];
  readonly shape: readonly number[];
  readonly type: NodeType;
}

/** One operation: a NodeDef. Its name stands for its first output; "name:1" is the second. */
export interface GraphNode {
  readonly name: string;
  /** TensorFlow's name of the operation, e.g. MatMul. */
  readonly operation: string;
  /** Names of nodes; "^name" is a control input, which only has to run before. */
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A part of a graph that is called as one operation: a FunctionDef. */
export interface GraphFunction {
  readonly name: string;
  readonly inputs: readonly { readonly name: string; readonly type: NodeType }[];
  /** `from` is the output to return, written NODE:OUTPUT:NUMBER. */
  readonly outputs: readonly { readonly name: string; readonly type: NodeType; readonly from: string }[];
  readonly nodes: readonly GraphNode[];
  readonly attributes: GraphNode["attributes"];
}

/** A TensorFlow graph under construction: operations, each after its inputs. */
export class Graph {
  readonly nodes: GraphNode[] = [];
  readonly functions: GraphFunction[] = [];
  /** Names of nodes begin with `scope/` from now on. */
  scope = "";

  /** Adds an operation and returns its name, by default made of scope, operation and a number. */
  add(
    operation: string,
    inputs: readonly string[],
    attributes: GraphNode["attributes"] = {},
    name = `${this.scope}/${operation}${this.nodes.length}`,
  ): string {
    this.nodes.push({ name, operation, inputs, attributes });
    return name;
  }

  /** Adds a constant. */
  constant(values: Constant["values"], shape: readonly number[], type: NodeType): string {
    return this.add("Const", [], { dtype: { type }, value: { tensor: { values, shape, type } } });
  }

  /** Adds a slice: `count` columns of a matrix, from `first` on. */
  columns(matrix: string, type: NodeType, first: number, count: number): string {
    const [begin, size] = [this.constant([0, first], [2], "int32"), this.constant([-1, count], [2], "int32")];
    return this.add("Slice", [matrix, begin, size], { T: { type }, Index: { type: "int32" } });
  }

  /** Adds a cast, unless the types are equal; bfloat16 keeps float32's range and 8 of its 24 significant bits. */
  cast(input: string, from: NodeType, to: NodeType, name?: string): string {
    if (from === to) return input;
    return this.add("Cast", [input], { SrcT: { type: from }, DstT: { type: to } }, name);
  }
}
