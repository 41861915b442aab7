import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor3D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "../model/config.js";
import type { LayerMemory } from "../model/generation-cache.js";
import type { Tracer } from "./tracer.js";

/**
 * The KV cache of a graph as the host sees it: its length. Keys and values are variables of the graph, see
 * `cacheLayers`; there is one set of them, so one generation at a time.
 */
export class GraphCache {
  private filled = 0;

  constructor(
    readonly batchSize: number,
    readonly capacity: number,
    readonly prefillChunk: number,
    /** Returns the variables to the model. */
    readonly dispose: () => void,
  ) {}

  /** Positions stored so far. */
  get length(): number {
    return this.filled;
  }

  /** Counts T more positions, after the graph has written all of them. */
  grow(T: number): void {
    this.filled += T;
  }

  /** Drops all positions from `length` on: the mask hides them until they are written again. */
  truncate(length: number): void {
    this.filled = Math.min(this.filled, length);
  }
}

/**
 * Declares the KV cache's variables: keys and values of each layer, [B*K*L, D] each.
 *
 * @returns the layers' caches for a call that computes some positions, [T]. `append` adds operations that write those
 *          positions and then read all L: unlike `LayerCache`, whose result grows, a graph has fixed shapes, and the mask
 *          hides positions not stored yet. They must be finite all the same, hence zeros at first: 0 · NaN is NaN
 */
export function cacheLayers(
  tracer: Tracer,
  { nLayers, nKvHeads: K, headDim: D }: ModelConfig,
  B: number,
  L: number,
): (positions: Tensor1D) => LayerMemory[] {
  const shape = [B * K * L, D];
  const variables = Array.from({ length: nLayers }, (_, i) => ({
    keys: tracer.cacheVariable(`keys${i}`, shape),
    values: tracer.cacheVariable(`values${i}`, shape),
  }));
  return (positions) => {
    // Position p of matrix m, of the B*K, is row m·L + p.
    const first = Array.from({ length: B * K }, (_, m) => [m * L]);
    const rows = tf.reshape(tf.add(tf.tensor2d(first, [B * K, 1], "int32"), positions), [-1]); // [B*K*T]
    const write = (handle: string, update: Tensor3D): Tensor3D => {
      const flat = tf.reshape(update, [-1, D]); // [B*K*T, D]
      const inputs = [handle, tracer.nameOf(rows), tracer.nameOf(flat)];
      const dtype = { type: "float32" } as const;
      const written = tracer.graph.add("ResourceScatterUpdate", inputs, {
        dtype,
        Tindices: { type: "int32" },
      });
      const read = tracer.graph.add("ReadVariableOp", [handle, `^${written}`], { dtype });
      return tf.reshape(tracer.tensor(read, shape, "float32"), [B * K, L, D]);
    };
    return variables.map(({ keys, values }) => ({
      append: (newKeys, newValues) => [write(keys, newKeys), write(values, newValues)],
    }));
  };
}
