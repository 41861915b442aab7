import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { Graph, NodeType } from "./graph.js";

/** A matrix that is stored beside others. */
interface Place {
  /** The node of all matrices beside each other, [in, sum of out]. */
  readonly joint: string;
  /** The matrix's first column there. */
  readonly column: number;
}

/**
 * Matrices that the model multiplies by the same input, stored beside each other in one variable. A single matmul then
 * gives x · [A | B] = [x · A | x · B]: a GPU reads one large matrix faster than several small ones.
 */
export class JointMatrices {
  private readonly lists = new Map<object, readonly TensorInfo[]>(); // by dataId
  private readonly places = new Map<object, Place>(); // by dataId
  private readonly matmuls = new Map<string, string>();

  /** @param lists of matrices with the same input, [in, out] each */
  constructor(lists: readonly (readonly TensorInfo[])[]) {
    for (const list of lists) for (const { dataId } of list) this.lists.set(dataId, list);
  }

  /** The matrices that are stored beside this one, itself included; undefined for a weight that is stored alone. */
  beside({ dataId }: TensorInfo): readonly TensorInfo[] | undefined {
    return this.lists.get(dataId);
  }

  /** Adds the node of a list's matrices beside each other. */
  join(graph: Graph, values: readonly string[], type: NodeType): string {
    const axis = graph.constant([1], [], "int32");
    const attributes = { N: { int: values.length }, T: { type }, Tidx: { type: "int32" } } as const;
    return graph.add("ConcatV2", [...values, axis], attributes);
  }

  /** Splits the node of a list's matrices again. Returns the node of each matrix. */
  split(graph: Graph, list: readonly TensorInfo[], joint: string, type: NodeType): string[] {
    let column = 0;
    return list.map(({ dataId, shape }) => {
      this.places.set(dataId, { joint, column });
      const part = graph.columns(joint, type, column, shape[1]!);
      column += shape[1]!;
      return part;
    });
  }

  /**
   * The product of an input and a matrix that is stored beside others: columns of the product with all of them.
   *
   * @param x        node of the input, [rows, in]
   * @param multiply adds the matmul of x and a node, and returns its float32 node
   * @returns        the product's node, [rows, out]; undefined for a weight that is stored alone
   */
  product(
    graph: Graph,
    x: string,
    { dataId, shape }: TensorInfo,
    multiply: (joint: string) => string,
  ): string | undefined {
    const place = this.places.get(dataId);
    if (!place) return undefined;
    const key = `${x} ${place.joint}`;
    const product = this.matmuls.get(key) ?? multiply(place.joint);
    this.matmuls.set(key, product);
    return graph.columns(product, "float32", place.column, shape[1]!);
  }
}
