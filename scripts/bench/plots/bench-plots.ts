import { type BenchResults, EXECUTIONS } from "../case.js";
import { writeWhole } from "../../write-file.js";
import { pairedCells } from "./choose.js";
import { memoryPlot } from "./memory-plot.js";
import { speedUpPlot } from "./speed-up-plot.js";
import { stepPlot } from "./step-plot.js";
import { timePlot } from "./time-plot.js";

/** What plots are drawn from; `cells` of both modes. */
export type Plotted = Pick<BenchResults, "model" | "backend" | "cells">;

/** The plots by their names. */
export const PLOTS = { time: timePlot, steps: stepPlot, memory: memoryPlot, "speed-up": speedUpPlot };

/** All plots of a bench, by the ends of their files' names: of each execution that was measured in both modes. */
export function drawAll(results: Plotted): Map<string, string> {
  const plots = new Map<string, string>();
  for (const execution of EXECUTIONS) {
    const cells = results.cells.filter((cell) => cell.execution === execution);
    if (pairedCells(cells).length === 0) continue;
    const prefix = execution === "eager" ? "" : `${execution}-`;
    for (const [name, draw] of Object.entries(PLOTS)) {
      const counted = cells.every(({ memory }) => memory.liveTensorPeak !== null && memory.byStep);
      if (name !== "memory" || counted) plots.set(`${prefix}${name}.svg`, draw({ ...results, cells }));
    }
  }
  return plots;
}

/** Writes all plots of a bench to PREFIX-time.svg, … and returns the files' names. */
export async function write(results: Plotted, prefix: string): Promise<string[]> {
  const files: string[] = [];
  for (const [name, svg] of drawAll(results)) {
    const file = `${prefix}-${name}`;
    await writeWhole(file, svg);
    files.push(file);
  }
  return files;
}
