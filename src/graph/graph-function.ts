import { InputError } from "../util/errors.js";
import type { Attribute, Graph, GraphNode, NodeType } from "./graph.js";

/** Operations by TensorFlow's name for their output, by which the nodes of a function refer to each other. */
const OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  out: ["Cumsum"],
  output: (
    "Any BatchMatMulV2 ConcatV2 Const Fill GatherV2 Identity Max Mean Min Reshape SelectV2 Slice Sum " +
    "TensorScatterUpdate While"
  ).split(" "),
  product: ["MatMul"],
  softmax: ["Softmax"],
  value: ["ReadVariableOp"],
  values: ["TopKV2"],
  y: ["Cast", "Exp", "Rsqrt", "Sigmoid", "Square", "Transpose"],
  z: [
    "AddV2",
    "Equal",
    "Greater",
    "GreaterEqual",
    "Less",
    "LessEqual",
    "LogicalAnd",
    "LogicalOr",
    "Minimum",
    "Mul",
    "RealDiv",
    "Sub",
  ],
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
  const given = argumentsOf(graph, results);
  const types = results.map((): NodeType => "float32");
  const operation = addFunction(graph, name, given, results, types, COMPILED); // a function is called as an operation
  const names = given.map((node) => node.name);
  const call = graph.add(operation, names, COMPILED, `${name}/call`);
  return results.map((_, i) =>
    graph.add("Identity", [`${call}:${i}`], { T: { type: "float32" } }, `${name}/${i}`),
  );
}

/** A value that a loop carries from one iteration to the next: names of nodes. */
export interface LoopVariable {
  /** Its value before the first iteration. */
  readonly first: string;
  /** A placeholder, which stands for its value inside the loop. */
  readonly now: string;
  /** Its value after the iteration. */
  readonly next: string;
}

/**
 * Adds a loop, TensorFlow's While. What else its nodes need, inputs and variables, is the same in all iterations.
 *
 * @param more name of a bool node: true if there is another iteration
 * @returns    names of the variables' values after the last iteration
 */
export function addLoop(
  graph: Graph,
  name: string,
  variables: readonly LoopVariable[],
  more: string,
): string[] {
  const next = variables.map((variable) => variable.next);
  const now = new Set(variables.map((variable) => variable.now));
  const needed = argumentsOf(graph, [more, ...next]);
  const same = needed.filter((node) => !now.has(node.name));
  const given = [
    ...variables.map((variable) => graph.nodes.find((node) => node.name === variable.now)!),
    ...same,
  ];
  const types = given.map(typeOf);
  const names = same.map((node) => node.name);
  const body = addFunction(graph, `${name}/body`, given, [...next, ...names], types);
  const cond = addFunction(graph, `${name}/cond`, given, [more], ["bool"]);
  const first = variables.map((variable) => variable.first);
  const attributes = { T: { types }, cond: { function: cond }, body: { function: body } };
  const loop = graph.add("While", [...first, ...names], attributes, `${name}/loop`);
  return variables.map((_, i) => `${loop}:${i}`);
}

/** Removes the nodes of a scope that are only inside functions. */
export function removeInner(graph: Graph, scope: string, results: readonly string[]): void {
  const needed = new Set(neededFor(graph, results));
  const kept = graph.nodes.filter((node) => needed.has(node) || !node.name.startsWith(`${scope}/`));
  graph.nodes.splice(0, graph.nodes.length, ...kept);
}

/** A name as functions, and the nodes inside them, have it: without "/" and ".". */
export const functionName = (name: string): string => name.replaceAll(/[/.]/g, "_");

/** Adds a function of some argument nodes and returns its name. */
function addFunction(
  graph: Graph,
  name: string,
  given: readonly GraphNode[],
  results: readonly string[],
  types: readonly NodeType[],
  attributes: GraphNode["attributes"] = {},
): string {
  const inner = neededFor(graph, results).filter(({ operation }) => !(operation in ARGUMENTS));
  const operations = new Map(inner.map((node) => [node.name, node.operation]));
  const inputs = given.map((node, i) => ({ name: `argument${i}`, type: typeOf(node) }));
  const argument = new Map(given.map((node, i) => [node.name, inputs[i]!.name]));

  const refer = (input: string): string => {
    if (input.startsWith("^")) return `^${functionName(input.slice(1))}`;
    const [node, number = "0"] = input.split(":") as [string, string?];
    return argument.get(node) ?? `${functionName(node)}:${outputName(operations.get(node)!, number)}`;
  };

  graph.functions.push({
    name: functionName(name),
    inputs,
    outputs: results.map((result, i) => ({ name: `result${i}`, type: types[i]!, from: refer(result) })),
    nodes: inner.map(({ name: node, operation, inputs: from, attributes: its }) => ({
      name: functionName(node),
      operation,
      inputs: from.map(refer),
      attributes: its,
    })),
    attributes,
  });
  return functionName(name);
}

/** The nodes that a function which computes some nodes takes as arguments. */
const argumentsOf = (graph: Graph, results: readonly string[]): GraphNode[] =>
  neededFor(graph, results).filter(({ operation }) => operation in ARGUMENTS);

const typeOf = (node: GraphNode): NodeType => ARGUMENTS[node.operation]!(node);

/** The nodes that some nodes are computed from, and these, each after its inputs. */
function neededFor(graph: Graph, results: readonly string[]): GraphNode[] {
  const byName = new Map(graph.nodes.map((node) => [node.name, node]));
  const needed = new Set<GraphNode>();
  const visit = (name: string): void => {
    const node = byName.get(name.replaceAll(/^\^|:\d+$/g, ""))!;
    if (needed.has(node)) return;
    node.inputs.forEach(visit);
    needed.add(node);
  };
  results.forEach(visit);
  return [...needed];
}

/** A node's output as other nodes of its function name it: "z:0". */
function outputName(operation: string, number: string): string {
  if (operation === "TopKV2" && number === "1") return "indices:0";
  const name = Object.keys(OUTPUTS).find((output) => OUTPUTS[output]!.includes(operation));
  if (name) return `${name}:${number}`;
  throw new InputError(
    `operation ${operation} is not supported in XLA-compiled calls: use graph mode without XLA, or add the name of its ` +
      "output to src/graph/graph-function.ts",
  );
}
