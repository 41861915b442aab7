import { rmSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { temporaryDirectory } from "../../src/util/file-system.js";
import type { CellSpec } from "./case.js";
import { type Measuring, RunningCell } from "./running-case.js";

/**
 * Measures cells that differ only in mode and execution, each in a fresh process, and hands them to `use`, while the
 * files with their scores are there.
 *
 * On a processor their processes live at once and take turns, run by run, so that what slows the machine down for a
 * while slows all of them down. On a card, whose memory they would share, and where the memory of the host is short,
 * they come one after the other.
 *
 * @param bytes what one of them needs
 * @throws InputError for options with which no cell can be measured. An interruption is no error: the runs that were
 *         whole are handed over
 */
export async function measureCells<Result>(
  specs: readonly CellSpec[],
  bytes: number,
  measuring: Measuring,
  use: (cells: readonly RunningCell[]) => Result,
): Promise<Result> {
  const { signal } = measuring;
  const directory = temporaryDirectory("bench");
  const cells = specs.map((spec, i) => new RunningCell(spec, join(directory, `${i}.scores`), measuring));
  const stop = () => cells.forEach((cell) => cell.end());
  signal.addEventListener("abort", stop, { once: true });
  try {
    await measureAll(cells, bytes, signal);
    return use(cells);
  } catch (error) {
    if (signal.aborted) return use(cells);
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
    rmSync(directory, { recursive: true });
  }
}

async function measureAll(cells: readonly RunningCell[], bytes: number, signal: AbortSignal): Promise<void> {
  let together = cells.length > 1 && cells.length * 2 * bytes <= freemem(); // before the first takes its part
  for (const cell of cells) {
    signal.throwIfAborted();
    const opened = await cell.start();
    if (opened?.backend.device === "cuda") together = false;
    cell.takingTurns = together;
    if (together) continue;
    while (cell.unfinished) await cell.measure();
    cell.end();
  }
  while (cells.some((cell) => cell.unfinished)) {
    for (const cell of cells) if (cell.unfinished) await cell.measure();
  }
}
