import * as Plot from "@observablehq/plot";
import { spread } from "../measure.js";
import type { Cell } from "../case.js";
import type { Plotted } from "./bench-plots.js";
import { bothModes, computedBy, longest, stepsByRun } from "./choose.js";
import { COLOR, colorOf, frame, HALO, namedLine } from "./frame.js";

/** Time of each step against its position: flat with the cache, rising without, and where the two cross. */
export function stepPlot(plotted: Plotted): string {
  const cell = longest(plotted.cells);
  const [uncached, cached] = bothModes(plotted.cells, cell);
  const { batch, input, output } = cell;
  const marks = [uncached, cached].flatMap((one) => {
    const stroke = colorOf(one.useCache);
    const points = medianSteps(one).map((y, i) => ({ x: input + i, y }));
    const later = points.slice(1); // the first step feeds the prompt in both modes
    return [
      Plot.dot(points.slice(0, 1), { x: "x", y: "y", stroke, r: 4 }),
      namedLine(later, one.useCache ? "with the cache" : "without", stroke),
    ];
  });
  const from = crossover(cached, uncached);
  const crossing = from === undefined || from <= input + 1 ? [] : [
    Plot.ruleX([from], { stroke: COLOR.ink, strokeDasharray: "4 4" }),
    Plot.text([from], { x: (x: number) => x, text: [`from position ${from} on, the cache is faster`], frameAnchor: "top", textAnchor: "start", dx: 6, fill: COLOR.ink, ...HALO }),
  ]; // prettier-ignore
  const [slow, fast] = [uncached, cached].map(medianSteps);
  const always = slow!.every((ms, i) => i === 0 || ms > fast![i]!);
  const note = always ? "; the cache is faster at every one" : "";
  return frame(
    `Time of a step, by its position${note}`,
    `${plotted.model}, batch ${batch}, ${computedBy(plotted)}; circles: the prompt's ${input}`,
    {
      x: { label: "positions so far", nice: false, domain: [input, input + output - 1] },
      y: { label: "milliseconds", grid: true, zero: true, nice: true },
      marks: [...marks, ...crossing],
    },
  );
}

/** The median over the runs, of every step. */
export function medianSteps(cell: Cell): number[] {
  const runs = stepsByRun(cell);
  return runs[0]!.map((_, step) => spread(runs.map((run) => run[step]!)).median);
}

/**
 * The first position from which on a step without the cache takes longer than one with it. Single steps are noisy, so
 * what is compared is the median of each and its two neighbours on either side. Undefined where it never is so.
 */
export function crossover(cached: Cell, uncached: Cell): number | undefined {
  const smooth = (steps: number[]) =>
    steps.map((_, i) => spread(steps.slice(Math.max(1, i - 2), i + 3)).median);
  const [fast, slow] = [cached, uncached].map((cell) => smooth(medianSteps(cell)).slice(1));
  const lastSlower = fast!.findLastIndex((ms, i) => ms >= slow![i]!);
  return lastSlower === fast!.length - 1 ? undefined : cached.input + 1 + lastSlower + 1;
}
