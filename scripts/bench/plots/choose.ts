import type { Cell } from "../case.js";
import type { Plotted } from "./bench-plots.js";
import { backendName } from "./frame.js";

/** What computed the cells of a plot, which have one execution: "TensorFlow 2.21.0 on cpu, recorded". */
export function computedBy({ backend, cells }: Plotted): string {
  const { execution } = cells[0]!;
  return backendName(backend) + (execution === "eager" ? "" : `, ${execution}`);
}

/** The cell with the most generated tokens that has both modes; of several, the one with the fewest or the most rows. */
export function longest(cells: readonly Cell[], rows: "fewest" | "most" = "fewest"): Cell {
  const sign = rows === "most" ? -1 : 1;
  const paired = cells.filter((cell) => cells.some((other) => isPair(cell, other)));
  return paired.toSorted(
    (a, b) => b.output - a.output || b.input - a.input || sign * (a.batch - b.batch),
  )[0]!;
}

/** The same cell in the modes [without, with]. */
export const bothModes = (cells: readonly Cell[], like: Cell): [Cell, Cell] => {
  const other = cells.find((cell) => isPair(cell, like))!;
  return like.useCache ? [other, like] : [like, other];
};

/** Every cell with the cache that was measured without it too. */
export const pairedCells = (cells: readonly Cell[]): Cell[] =>
  cells.filter((cell) => cell.useCache && cells.some((other) => isPair(cell, other)));

const isPair = (a: Cell, b: Cell): boolean =>
  a.useCache !== b.useCache &&
  a.execution === b.execution &&
  a.batch === b.batch &&
  a.input === b.input &&
  a.output === b.output;

/** The time of every step of every run: one list a run, [first step, those after it]. */
export function stepsByRun({ firstTokenMs, stepMs, output }: Cell): number[][] {
  return firstTokenMs.samples.map((first, run) => [
    first,
    ...stepMs.samples.slice(run * (output - 1), (run + 1) * (output - 1)),
  ]);
}
