import type { RecordedRow, RecordedStep, RowKind } from "../trace.js";

/** Which row, of what is recorded of a mode. */
export type RowAddress = Omit<RecordedRow, "values">;

/** A row, and since which iteration it has these values. */
export interface StoredRow {
  readonly iteration: number;
  readonly values: Float32Array;
}

/** Every recorded row of one mode at every step: a row that was computed anew, and is other than before, is there twice. */
export class RowStore {
  private readonly versions = new Map<string, StoredRow[]>();
  private readonly scales = new Map<string, number>();

  /** Adds what a step computed. */
  add({ iteration, rows }: RecordedStep): void {
    for (const row of rows) {
      const key = keyOf(row);
      const before = this.versions.get(key);
      const stored = { iteration, values: row.values };
      if (before) before.push(stored);
      else this.versions.set(key, [stored]);
    }
  }

  /** A row as it was after the given iteration; undefined where it was not there yet, or is not recorded. */
  at(address: RowAddress, iteration: number): StoredRow | undefined {
    return this.versions.get(keyOf(address))?.findLast((stored) => stored.iteration <= iteration);
  }

  /** A number that few values of a head exceed: what the ends of its colour scale stand for. It never changes. */
  scale(kind: RowKind, layer: number, row: number, head: number): number {
    const key = `${kind}/${layer}/${row}/${head}`;
    const known = this.scales.get(key);
    if (known) return known;
    const sizes: number[] = [];
    for (let position = 0; position < 16; position++) {
      const stored = this.versions.get(keyOf({ kind, layer, row, head, position }))?.[0];
      if (stored) sizes.push(...stored.values.map(Math.abs));
    }
    const scale = sizes.toSorted((a, b) => a - b)[Math.floor(0.95 * sizes.length)] || 1;
    this.scales.set(key, scale);
    return scale;
  }
}

const keyOf = ({ kind, layer, row, head, position }: RowAddress): string =>
  `${kind}/${layer}/${row}/${head}/${position}`;
