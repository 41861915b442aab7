import type { TypedArray } from "@tensorflow/tfjs-core";

/** TensorFlow's numbers for the types that graphs of ours hold (`DataType` in its types.proto). */
export const TYPES = { float32: 1, int32: 3, bool: 10 } as const;

/** One of the types that graphs of ours hold. */
export type NodeType = keyof typeof TYPES;

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

/** One operation of a graph: a NodeDef. Ours have one output each, which goes by the node's name. */
export interface GraphNode {
  readonly name: string;
  /** TensorFlow's name for what it does, e.g. MatMul. */
  readonly operation: string;
  /** Names of nodes; "^name" only waits for it. */
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A TensorFlow graph as it is being written: operations in an order in which each comes after its inputs. */
export class Graph {
  readonly nodes: GraphNode[] = [];
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

  /** Adds a place for numbers that every run brings along. */
  input(name: string, shape: readonly number[], type: NodeType): string {
    return this.add("Placeholder", [], { dtype: { type }, shape: { shape } }, `${this.scope}/${name}`);
  }
}
