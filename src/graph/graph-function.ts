import { InputError } from "../util/errors.js";
import type { Attribute, Graph, GraphNode, NodeType } from "./graph.js";

/** What TensorFlow calls the output of each operation: so the nodes of a function refer to each other. */
const OUTPUTS: Readonly<Record<string, string>> = {
  AddV2: "z",
  BatchMatMulV2: "output",
  Cast: "y",
  ConcatV2: "output",
  Const: "output",
  GatherV2: "output",
  Greater: "z",
  Identity: "output",
  Less: "z",
  MatMul: "product",
  Max: "output",
  Mean: "output",
  Min: "output",
  Mul: "z",
  ReadVariableOp: "value",
  Reshape: "output",
  Rsqrt: "y",
  Sigmoid: "y",
  Slice: "output",
  Softmax: "softmax",
  Square: "y",
  Sum: "output",
  Transpose: "y",
};

function outputOf(operation: string): string {
  const name = OUTPUTS[operation];
  if (name) return name;
  throw new InputError(
    `operation ${operation} cannot be part of a compiled call: its output's name is not known`,
  );
}

/** What a function is given instead of holding it: what a run brings along, and the variables. */
const ARGUMENTS: Readonly<Record<string, (node: GraphNode) => NodeType>> = {
  Placeholder: ({ attributes }) => (attributes["dtype"] as { readonly type: NodeType }).type,
  VarHandleOp: () => "resource",
};

/** Has XLA compile a function as a whole, for the shapes that it is first called with. */
const COMPILED: Readonly<Record<string, Attribute>> = { _XlaMustCompile: { bool: true } };

/**
 * Makes a function of what some nodes need, compiled by XLA, TensorFlow's compiler, when it is first called: many small
 * operations become few large ones, and nothing is scheduled between them. (XLA on the whole graph, as TF_XLA_FLAGS asks
 * for, cannot do that: it cuts the graph at each write into a variable that is read again.)
 *
 * @param results names of float32 nodes
 * @returns       names of nodes that hold the same as `results`, computed by the function: `name/0`, `name/1`, …
 */
export function addCompiled(graph: Graph, name: string, results: readonly string[]): string[] {
  const reached = reach(graph, results);
  const given = reached.filter(({ operation }) => operation in ARGUMENTS);
  const types = given.map((node) => ARGUMENTS[node.operation]!(node));

  const argument = new Map(given.map((node, i) => [node.name, `argument${i}`]));
  const operation = new Map(reached.map((node) => [node.name, node.operation]));
  const inside = (node: string): string => node.replaceAll(/[/.]/g, "_"); // names in functions are plainer
  const refer = (input: string): string => {
    if (input.startsWith("^")) return `^${inside(input.slice(1))}`;
    return argument.get(input) ?? `${inside(input)}:${outputOf(operation.get(input)!)}:0`;
  };

  const float = results.map((): NodeType => "float32");
  graph.functions.push({
    name: inside(name),
    inputs: given.map((node, i) => ({ name: argument.get(node.name)!, type: types[i]! })),
    outputs: results.map((result, i) => ({ name: `result${i}`, type: float[i]!, from: refer(result) })),
    nodes: reached
      .filter((node) => !argument.has(node.name))
      .map(({ name: node, operation: does, inputs, attributes: its }) => ({
        name: inside(node),
        operation: does,
        inputs: inputs.map(refer),
        attributes: its,
      })),
    attributes: COMPILED,
  });
  const call = graph.add(
    inside(name), // a function is an operation by its name
    given.map((node) => node.name),
    COMPILED,
    `${name}/call`,
  );
  return results.map((_, i) =>
    graph.add("Identity", [`${call}:${i}`], { T: { type: "float32" } }, `${name}/${i}`),
  );
}

/** The nodes that some nodes need, they among them, each after its inputs; the arguments' own inputs are not needed. */
function reach(graph: Graph, wanted: readonly string[]): GraphNode[] {
  const byName = new Map(graph.nodes.map((node) => [node.name, node]));
  const reached = new Set<GraphNode>();
  const visit = (name: string): void => {
    const node = byName.get(name.replace("^", ""))!;
    if (reached.has(node)) return;
    node.inputs.forEach(visit);
    reached.add(node);
  };
  wanted.forEach(visit);
  return [...reached];
}
