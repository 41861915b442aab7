import { rename, writeFile } from "node:fs/promises";
import type { BenchResults } from "../bench/cell.js";
import { memoryPlot } from "./memory-plot.js";
import { speedUpPlot } from "./speed-up-plot.js";
import { stepPlot } from "./step-plot.js";
import { timePlot } from "./time-plot.js";

/** What plots are drawn from; `cells` of both modes. */
export type Plotted = Pick<BenchResults, "model" | "engine" | "cells">;

/** The plots by the ends of their files' names. */
export const PLOTS = { time: timePlot, steps: stepPlot, memory: memoryPlot, "speed-up": speedUpPlot };

/** Writes all plots of a bench to PREFIX-time.svg, … and returns the files' names. */
export async function write(results: BenchResults, prefix: string): Promise<string[]> {
  const files: string[] = [];
  for (const [name, draw] of Object.entries(PLOTS)) {
    const file = `${prefix}-${name}.svg`;
    await writeFile(`${file}.tmp`, draw(results));
    await rename(`${file}.tmp`, file);
    files.push(file);
  }
  return files;
}
