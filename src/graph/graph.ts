import type { TypedArray } from "@tensorflow/tfjs-core";

/**
 * TensorFlow's numbers for the types that graphs of ours hold (`DataType` in its types.proto). A resource is a variable's
 * handle.
 */
export const TYPES = { float32: 1, int32: 3, bool: 10, bfloat16: 14, resource: 20 } as const;

/** One of the types that graphs of ours hold. */
export type NodeType = keyof typeof TYPES;

/** Those of them that TensorFlow.js has tensors of. */
export type TensorType = "float32" | "int32" | "bool";

/** A value that an operation is made with, in one of the kinds that TensorFlow's NodeDef knows. */
export type Attribute =
  | { readonly type: NodeType }
  | { readonly shape: readonly number[] }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly count: number }
  | { readonly tensor: Constant };

/** Numbers that are part of the graph. */
export interface Constant {
  readonly values: TypedArray | readonly number[];
  readonly shape: readonly number[];
  readonly type: NodeType;
}

/** One operation of a graph: a NodeDef. Its output goes by its name; of several, "name:1" is the second. */
export interface GraphNode {
  readonly name: string;
  /** TensorFlow's name for what it does, e.g. MatMul. */
  readonly operation: string;
  /** Names of nodes; "^name" only waits for it. */
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** Part of a graph as one operation, that is called like any other: a FunctionDef. */
export interface GraphFunction {
  readonly name: string;
  readonly inputs: readonly { readonly name: string; readonly type: NodeType }[];
  /** `from` names what the function returns, in the form NODE:OUTPUT:NUMBER. */
  readonly outputs: readonly { readonly name: string; readonly type: NodeType; readonly from: string }[];
  readonly nodes: readonly GraphNode[];
  readonly attributes: GraphNode["attributes"];
}

/** A TensorFlow graph as it is being written: operations in an order in which each comes after its inputs. */
export class Graph {
  readonly nodes: GraphNode[] = [];
  /** What nodes call by name. */
  readonly functions: GraphFunction[] = [];
  private scope = "";

  /** Everything added until the next call has names that begin with `scope/`. */
  enter(scope: string): void {
    this.scope = scope;
  }

  /** Adds an operation and returns its name, made of the scope, the operation and a number. */
  add(
    operation: string,
    inputs: readonly string[],
    attributes: GraphNode["attributes"] = {},
    name = `${this.scope}/${operation}${this.nodes.length}`,
  ): string {
    this.nodes.push({ name, operation, inputs, attributes });
    return name;
  }

  /** Adds numbers that never change. */
  constant(values: Constant["values"], shape: readonly number[], type: NodeType): string {
    return this.add("Const", [], { dtype: { type }, value: { tensor: { values, shape, type } } });
  }

  /** Adds a change of type; bfloat16 keeps 8 of float32's 24 bits, and its range. */
  cast(input: string, from: NodeType, to: NodeType, name?: string): string {
    return this.add("Cast", [input], { SrcT: { type: from }, DstT: { type: to } }, name);
  }

  /** Adds a place for numbers that every run brings along. */
  input(name: string, shape: readonly number[], type: NodeType): string {
    return this.add("Placeholder", [], { dtype: { type }, shape: { shape } }, `${this.scope}/${name}`);
  }
}
