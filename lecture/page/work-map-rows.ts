import type { StepPair } from "../trace.js";
import { stepOf } from "./run.js";

/**
 * One step of the work map: positions 0 … readTo-1 are read from the cache, those from there to newFrom are computed
 * again, and those from there to `to` are computed for the first time. Each computed position is one K/V pair in every
 * layer, KV head and sequence.
 */
export interface WorkRow {
  readonly readTo: number;
  readonly newFrom: number;
  readonly to: number;
}

/** The rows of one mode's work map, first step first. */
export function workRows(steps: readonly StepPair[], cached: boolean): WorkRow[] {
  let computed = 0; // positions that earlier steps computed
  return steps.flatMap((pair) => {
    const step = stepOf(pair, cached);
    if (!step) return [];
    const row = { readTo: step.prevPos, newFrom: Math.max(step.prevPos, computed), to: step.curPos };
    computed = Math.max(computed, step.curPos);
    return row;
  });
}

/** Positions that the rows' steps computed: for the first time, and again. */
export function countWork(rows: readonly WorkRow[]): { readonly first: number; readonly again: number } {
  const sum = (of: (row: WorkRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  return {
    first: sum(({ newFrom, to }) => to - newFrom),
    again: sum(({ readTo, newFrom }) => newFrom - readTo),
  };
}
