import type { Graph, GraphNode } from "./graph.js";

const DOUBLE = { type: "float64" } as const;
const INDEX = { type: "int32" } as const;

/** Operations on float64 numbers, which TensorFlow.js has no tensors of. Arguments and results are names of nodes. */
export function float64(graph: Graph) {
  const operation =
    (name: string) =>
    (...inputs: string[]): string =>
      graph.add(name, inputs, { T: DOUBLE });
  const alongRows =
    (name: string, attributes: GraphNode["attributes"]) =>
    (x: string): string =>
      graph.add(name, [x, graph.constant([1], [], "int32")], { T: DOUBLE, Tidx: INDEX, ...attributes });
  return {
    number: (value: number) => graph.constant([value], [], "float64"),
    add: operation("AddV2"),
    sub: operation("Sub"),
    mul: operation("Mul"),
    div: operation("RealDiv"),
    exp: operation("Exp"),
    less: operation("Less"),
    lessEqual: operation("LessEqual"),
    greater: operation("Greater"),
    greaterEqual: operation("GreaterEqual"),
    /** `where(condition, x, y)` */
    where: operation("SelectV2"),
    /** Sum of each row, [R, 1]. */
    sum: alongRows("Sum", { keep_dims: { bool: true } }),
    /** Smallest number of each row, [R, 1]. */
    min: alongRows("Min", { keep_dims: { bool: true } }),
    /** Sums of each row's first numbers, of the shape of x. */
    cumsum: alongRows("Cumsum", {}),
    /** Column i, [R, 1]. */
    column: (x: string, i: number) => graph.columns(x, "float64", i, 1),
    /** The column whose number is a node's value, [1], as [R, 1]. */
    columnAt: (x: string, i: string) =>
      graph.add("GatherV2", [x, i, graph.constant([1], [], "int32")], {
        Tparams: DOUBLE,
        Tindices: INDEX,
        Taxis: INDEX,
      }),
  };
}
