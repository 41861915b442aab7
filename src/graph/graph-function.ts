import { InputError } from "../util/errors.js";
import type { Attribute, Graph, GraphNode, NodeType } from "./graph.js";

/** Operations by TensorFlow's name for their output, by which the nodes of a function refer to each other. */
const OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  output: "BatchMatMulV2 ConcatV2 Const GatherV2 Identity Max Mean Min Reshape Slice Sum".split(" "),
  product: ["MatMul"],
  softmax: ["Softmax"],
  value: ["ReadVariableOp"],
  y: ["Cast", "Rsqrt", "Sigmoid", "Square", "Transpose"],
  z: ["AddV2", "Greater", "Less", "Mul"],
};

/** Nodes that become arguments of a function: a run's inputs, and the variables. */
const ARGUMENTS: Readonly<Record<string, (node: GraphNode) => NodeType>> = {
  Placeholder: ({ attributes }) => (attributes["dtype"] as { readonly type: NodeType }).type,
  VarHandleOp: () => "resource",
};

/** Has XLA compile the function as a whole, for the shapes of its first call. */
const COMPILED: Readonly<Record<string, Attribute>> = { _XlaMustCompile: { bool: true } };

/**
 * Adds a function that computes some nodes, and a call of it. XLA, TensorFlow's compiler, compiles the function when it
 * is first called: hundreds of small operations become a few large ones. (XLA on the whole graph, TF_XLA_FLAGS, cannot:
 * it splits the graph at each variable that is written and then read, as the KV cache is.)
 *
 * @param results names of float32 nodes
 * @returns       names of nodes with the same values, computed by the function: `name/0`, `name/1`, …
 */
export function addCompiled(graph: Graph, name: string, results: readonly string[]): string[] {
  const needed = neededFor(graph, results);
  const operations = new Map(needed.map((node) => [node.name, node.operation]));
  const [given, inner] = [true, false].map((is) =>
    needed.filter((node) => node.operation in ARGUMENTS === is),
  );
  const inputs = given!.map((node, i) => ({ name: `argument${i}`, type: ARGUMENTS[node.operation]!(node) }));
  const argument = new Map(given!.map((node, i) => [node.name, inputs[i]!.name]));

  const inside = (node: string): string => node.replaceAll(/[/.]/g, "_"); // a function's names have neither
  const refer = (input: string): string =>
    input.startsWith("^")
      ? `^${inside(input.slice(1))}`
      : (argument.get(input) ?? `${inside(input)}:${outputName(operations.get(input)!)}:0`);

  graph.functions.push({
    name: inside(name),
    inputs,
    outputs: results.map((result, i) => ({ name: `result${i}`, type: "float32", from: refer(result) })),
    nodes: inner!.map(({ name: node, operation, inputs: from, attributes }) => ({
      name: inside(node),
      operation,
      inputs: from.map(refer),
      attributes,
    })),
    attributes: COMPILED,
  });
  const names = given!.map((node) => node.name);
  const call = graph.add(inside(name), names, COMPILED, `${name}/call`); // a function is called as an operation
  return results.map((_, i) =>
    graph.add("Identity", [`${call}:${i}`], { T: { type: "float32" } }, `${name}/${i}`),
  );
}

/** The nodes that some nodes are computed from, and these, each after its inputs. */
function neededFor(graph: Graph, results: readonly string[]): GraphNode[] {
  const byName = new Map(graph.nodes.map((node) => [node.name, node]));
  const needed = new Set<GraphNode>();
  const visit = (name: string): void => {
    const node = byName.get(name.replace("^", ""))!;
    if (needed.has(node)) return;
    node.inputs.forEach(visit);
    needed.add(node);
  };
  results.forEach(visit);
  return [...needed];
}

function outputName(operation: string): string {
  const name = Object.keys(OUTPUTS).find((output) => OUTPUTS[output]!.includes(operation));
  if (name) return name;
  throw new InputError(
    `operation ${operation} is not supported in XLA-compiled calls: use graph mode without XLA, or add the name of its ` +
      "output to src/graph/graph-function.ts",
  );
}
