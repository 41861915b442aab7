import * as Plot from "@observablehq/plot";
import { spread } from "../measure.js";
import type { Plotted } from "./bench-plots.js";
import { bothModes, computedBy, longest, pairedCells, stepsByRun } from "./choose.js";
import { apart, COLOR, frame } from "./frame.js";

/** How many times as fast the cache makes a generation, against how many tokens have been generated. */
export function speedUpPlot(plotted: Plotted): string {
  const { input, output } = longest(plotted.cells);
  const cells = pairedCells(plotted.cells).filter((cell) => cell.input === input && cell.output === output);
  const lines = cells.map((cell) => {
    const [uncached, cached] = bothModes(plotted.cells, cell);
    return speedUpByLength(cached, uncached).map((y, i) => ({ x: i + 1, y }));
  });
  const highest = Math.max(...lines.flat().map(({ y }) => y));
  const heights = apart(lines.map((points) => points.at(-1)!.y), highest / 14); // prettier-ignore
  const marks = cells.flatMap((cell, i) => {
    const points = lines[i]!;
    return [
      Plot.line(points, { x: "x", y: "y", stroke: COLOR.with, strokeWidth: 2 }),
      Plot.text([{ x: points.length, y: heights[i] }], { x: "x", y: "y", text: [`batch ${cell.batch}`], dx: 6, textAnchor: "start", fill: COLOR.with, fontWeight: 600 }),
    ];
  }); // prettier-ignore
  return frame(
    "How many times as fast the cache makes it, by length",
    `${plotted.model}, input ${input}, ${computedBy(plotted)}`,
    {
      marginRight: 80,
      x: { label: "tokens generated", domain: [1, output] },
      y: { label: "times as fast", grid: true, zero: true, nice: true },
      marks: [Plot.ruleY([1], { stroke: COLOR.faint, strokeDasharray: "2 4" }), ...marks],
    },
  );
}

/** Of a generation that ends after 1, 2, … tokens: medians over the runs, taken in pairs. */
export function speedUpByLength(cached: Parameters<typeof stepsByRun>[0], uncached: typeof cached): number[] {
  const [fast, slow] = [cached, uncached].map((cell) => stepsByRun(cell).map(sums));
  const pairs = Math.min(fast!.length, slow!.length);
  return fast![0]!.map(
    (_, i) => spread(Array.from({ length: pairs }, (__, run) => slow![run]![i]! / fast![run]![i]!)).median,
  );
}

const sums = (steps: readonly number[]): number[] => {
  let sum = 0;
  return steps.map((ms) => (sum += ms));
};
