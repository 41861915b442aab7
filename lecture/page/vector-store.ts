import { keyOf, type VectorAddress } from "../capture.js";
import type { CapturedStep, VectorKind } from "../trace.js";

/** A version of a vector, and the iteration that computed it. */
interface StoredVector {
  readonly iteration: number;
  readonly values: Float32Array;
}

/** The captured vectors of one mode at every step. A vector that changed when it was recomputed has several versions. */
export class VectorStore {
  private readonly versions = new Map<string, StoredVector[]>();
  private readonly scales = new Map<string, number>();

  /** Adds the vectors of a step. */
  add({ iteration, vectors }: CapturedStep): void {
    for (const vector of vectors) {
      const key = keyOf(vector);
      const before = this.versions.get(key);
      const stored = { iteration, values: vector.values };
      if (before) before.push(stored);
      else this.versions.set(key, [stored]);
    }
  }

  /** A vector as it was after the given iteration; undefined if it was not computed by then, or not captured. */
  at(address: VectorAddress, iteration: number): Float32Array | undefined {
    return this.versions.get(keyOf(address))?.findLast((stored) => stored.iteration <= iteration)?.values;
  }

  /** The limit of a head's colour scale: the 95th percentile of its first 16 vectors, which never changes. */
  scale(kind: VectorKind, layer: number, sequence: number, head: number): number {
    const key = `${kind}/${layer}/${sequence}/${head}`;
    const known = this.scales.get(key);
    if (known) return known;
    const sizes: number[] = [];
    for (let position = 0; position < 16; position++) {
      const stored = this.versions.get(keyOf({ kind, layer, sequence, head, position }))?.[0];
      if (stored) sizes.push(...stored.values.map(Math.abs));
    }
    const scale = sizes.toSorted((a, b) => a - b)[Math.floor(0.95 * sizes.length)] || 1;
    this.scales.set(key, scale);
    return scale;
  }
}
