import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "../model/config.js";
import type { Cache, CacheKind, LayerMemory } from "../model/generation-cache.js";
import type { InputValues } from "./session.js";
import type { Tracer } from "./tracer.js";

/** A graph's cache: its kind, for B sequences of up to L positions. */
export interface CacheSizes {
  readonly config: ModelConfig;
  readonly kind: CacheKind;
  readonly B: number;
  readonly L: number;
}

/** The cache inside a traced call that computes some positions. */
export interface TracedCache {
  readonly layers: readonly LayerMemory[];
  /** [T, S]; S is fixed, so the mask also hides what is not stored yet. */
  readonly mask: Tensor2D;
}

/** The places of one generation's positions, for caches that do not store them in order; bookkeeping of the host. */
export interface Places {
  /** Finds places for T positions from `start` on. @returns values of the inputs that the traced cache has declared */
  inputs(start: number, T: number): InputValues;
  /** Drops all positions from `length` on. @returns the length that is left, shorter if it cannot be restored */
  truncate(length: number): number;
}

/**
 * The KV cache of a graph as the host sees it: its length and its places. Keys and values are variables of the graph, see
 * `traceCache`; there is one set of them, so one generation at a time.
 */
export class GraphCache implements Cache {
  private filled = 0;

  constructor(
    readonly batchSize: number,
    readonly capacity: number,
    readonly prefillChunk: number,
    /** Undefined if positions are in order. */
    private readonly places: Places | undefined,
    /** Returns the variables to the model. */
    readonly dispose: () => void,
  ) {}

  /** Positions stored so far. */
  get length(): number {
    return this.filled;
  }

  /** True if position p is at place p, as in the plain cache. */
  get isInOrder(): boolean {
    return !this.places;
  }

  /** Values of the cache's own inputs for a call that computes T positions from `start` on, by the names in its scope. */
  inputs(scope: string, start: number, T: number): InputValues {
    const inputs = Object.entries(this.places?.inputs(start, T) ?? {});
    return Object.fromEntries(inputs.map(([name, value]) => [`${scope}/${name}`, value]));
  }

  /** Counts T more positions, after the graph has written all of them. */
  grow(T: number): void {
    this.filled += T;
  }

  /** Drops all positions from `length` on: the mask hides them until they are written again. */
  truncate(length: number): void {
    const left = Math.min(this.filled, length);
    this.filled = this.places ? this.places.truncate(left) : left;
  }
}

/**
 * Declares keys and values of each layer as variables, [rows, D] each, at first zeros: rows that are not written yet must
 * be finite, as 0 · NaN is NaN.
 *
 * @returns layers whose `append` writes new keys and values, [B*K, T, D], to the given rows, [B*K*T], then reads with a
 *          function from the whole variable, [rows, D], to [B*K, S, D]
 */
export function cacheVariables(
  tracer: Tracer,
  { nLayers, headDim: D }: ModelConfig,
  rows: number,
): (
  writes: Tensor1D,
  readKeys: (all: Tensor2D) => Tensor3D,
  readValues?: (all: Tensor2D) => Tensor3D,
) => LayerMemory[] {
  const shape = [rows, D];
  const variables = Array.from({ length: nLayers }, (_, i) => ({
    keys: tracer.cacheVariable(`keys${i}`, shape),
    values: tracer.cacheVariable(`values${i}`, shape),
  }));
  return (writes, readKeys, readValues = readKeys) => {
    const write = (handle: string, update: Tensor3D): Tensor2D => {
      const flat = tf.reshape(update, [-1, D]); // [B*K*T, D]
      const inputs = [handle, tracer.nameOf(writes), tracer.nameOf(flat)];
      const dtype = { type: "float32" } as const;
      const written = tracer.graph.add("ResourceScatterUpdate", inputs, {
        dtype,
        Tindices: { type: "int32" },
      });
      const read = tracer.graph.add("ReadVariableOp", [handle, `^${written}`], { dtype });
      return tracer.tensor(read, shape, "float32");
    };
    return variables.map(({ keys, values }) => ({
      append: (newKeys, newValues) => [readKeys(write(keys, newKeys)), readValues(write(values, newValues))],
    }));
  };
}
