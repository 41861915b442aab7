import { readFileSync } from "node:fs";
import { InputError } from "../../src/index.js";
import type { BenchResults, Cell, CellSpec } from "./case.js";
import { alignedTable, modeOf, modesOf, sameCell, SHORT, type Table } from "./table.js";

/** How far repeating a bench on an idle machine may move a figure. */
const TOLERANCE = 0.05;

/**
 * Reads an earlier bench.
 *
 * @throws InputError where the file is none
 */
export function earlierBench(file: string): BenchResults {
  let results: Partial<BenchResults>;
  try {
    results = JSON.parse(readFileSync(file, "utf8")) as Partial<BenchResults>;
  } catch (error) {
    throw new InputError(`${file} cannot be read as a bench: ${(error as Error).message}`);
  }
  if (Array.isArray(results?.command) && Array.isArray(results.cells) && Array.isArray(results.pairs))
    return results as BenchResults;
  throw new InputError(
    `${file} is not what \`npm run bench -- --json\` writes, expected command, cells and pairs`,
  );
}

/**
 * Refuses to measure what cannot be compared.
 *
 * @throws InputError where none of the cells was measured by the earlier bench
 */
export function checkInCommon(file: string, earlier: BenchResults, specs: readonly CellSpec[]): void {
  if (specs.some((spec) => earlierCell(spec, earlier))) return;
  const cells = (some: readonly CellSpec[]) =>
    some.map((one) => `batch ${one.batch} (${one.input}+${one.output}) ${modeOf(one)}`).join("; ");
  throw new InputError(
    `${file} has none of the cells asked for (KV cache with or without): ${cells(specs)}; it has ${cells(earlier.cells)}`,
  );
}

const earlierCell = (spec: CellSpec, earlier: BenchResults): Cell | undefined =>
  modesOf(spec, earlier.cells)[spec.useCache ? 0 : 1];

/** The words of a bench's command that say what to measure and how: all but those about files. */
export const measuringWords = (command: readonly string[]): string[] => {
  const isFile = (word: string | undefined) => /^--(?:json|again|plot|out|python)$/.test(word ?? "");
  return command.filter((word, i) => !isFile(word) && !isFile(command[i - 1]) && !/^--(?:json|again|plot|out|python)=|^--no-plot$/.test(word)); // prettier-ignore
};

/** How far a cell's medians moved, as a fraction of the earlier ones; its pair's speed-up, where both have one. */
export interface Moves {
  readonly before: Cell;
  readonly now: Cell;
  readonly seconds: number;
  readonly firstTokenMs: number;
  readonly stepMs: number;
  readonly speedUp: number | undefined;
}

/** Of all cells that both benches have. */
export function movesBetween(before: BenchResults, now: BenchResults): Moves[] {
  const speedUpOf = ({ pairs }: BenchResults, cell: Cell) =>
    pairs.find((pair) => sameCell(pair, cell))?.speedUp.median;
  return now.cells.flatMap((cell) => {
    const earlier = earlierCell(cell, before);
    if (!earlier) return [];
    const [was, is] = [before, now].map((one) => speedUpOf(one, cell));
    return {
      before: earlier,
      now: cell,
      seconds: moved(earlier.seconds.median, cell.seconds.median),
      firstTokenMs: moved(earlier.firstTokenMs.median, cell.firstTokenMs.median),
      stepMs: moved(earlier.stepMs.median, cell.stepMs.median),
      speedUp: was === undefined || is === undefined ? undefined : moved(was, is),
    };
  });
}

const moved = (was: number, is: number): number => is / was - 1;

const figuresOf = ({ seconds, firstTokenMs, stepMs, speedUp }: Moves): number[] =>
  [seconds, firstTokenMs, stepMs, speedUp ?? 0].map(Math.abs);

/**
 * Whether no figure moved by more than it may; a sentence says how far the worst did.
 *
 * @param earlier how many cells the earlier bench had, of which not all need have been measured now
 */
export function repeatable(
  moves: readonly Moves[],
  earlier: number,
): { readonly good: boolean; readonly sentence: string } {
  if (moves.length === 0) return { good: false, sentence: "no cell was measured both times" };
  const largest = Math.max(...moves.flatMap(figuresOf));
  const beyond = moves.filter((one) => figuresOf(one).some((figure) => figure > TOLERANCE)).length;
  const limit = `${100 * TOLERANCE} %`;
  const sentence =
    beyond === 0
      ? `no median and no speed-up moved by more than ${limit}; the most was ${percent(largest).slice(1)}`
      : `in ${beyond} of ${moves.length} cells a figure moved by more than ${limit}; the most was ${percent(largest).slice(1)}`;
  const part =
    moves.length < earlier ? `; ${moves.length} of ${earlier} earlier cells were measured now` : "";
  return { good: beyond === 0, sentence: sentence + part };
}

/** Medians before and now, and how far they moved, in 80 columns. */
export function movesTable(moves: readonly Moves[]): string {
  const sizes = (one: Moves) => `${one.now.input}+${one.now.output}`;
  const several = new Set(moves.map(sizes)).size > 1;
  const rows = moves.map((one) => [
    `${one.now.batch}${several ? ` (${sizes(one)})` : ""}`,
    modeOf(one.now, SHORT),
    one.before.seconds.median.toFixed(2),
    one.now.seconds.median.toFixed(2),
    percent(one.seconds),
    percent(one.firstTokenMs),
    percent(one.stepMs),
    one.speedUp === undefined ? "-" : percent(one.speedUp),
  ]);
  const head: Table["head"] = [["", "batch"], ["KV", "cache"], ["time s", "before"], ["time s", "now"], ["", "moved"], ["first token", "moved"], ["step", "moved"], ["speed-up", "moved"]]; // prettier-ignore
  return alignedTable({ head, rows });
}

const percent = (fraction: number): string =>
  `${fraction < 0 ? "-" : "+"}${(100 * Math.abs(fraction)).toFixed(1)} %`;
