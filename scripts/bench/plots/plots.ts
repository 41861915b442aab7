import * as Plot from "@observablehq/plot";
import { writeWhole } from "../../write-file.js";
import { EXECUTIONS } from "../case.js";
import type { Case, CaseResults } from "../schema.js";
import { backendName, modelName } from "../words.js";
import { colorOf, COLOR, frame, HALO, namedLine } from "./frame.js";
import { bothModes, crossover, medianSteps, pairedCases, speedUpByLength } from "./series.js";

/** What plots are drawn from: cases of one execution, some of them in both modes. */
export type Plotted = Pick<CaseResults, "model" | "backends" | "cases">;

/** The plots by their names. */
export const PLOTS: Readonly<Record<string, (plotted: Plotted) => string>> = {
  time: timePlot,
  steps: stepPlot,
  memory: memoryPlot,
  "speed-up": speedUpPlot,
};

/** All plots of a bench, by the ends of their files' names: of each execution that was measured in both modes. */
export function drawAll(results: Plotted): Map<string, string> {
  const plots = new Map<string, string>();
  for (const execution of EXECUTIONS) {
    const cases = results.cases.filter((one) => one.execution === execution);
    if (pairedCases(cases).length === 0) continue;
    const prefix = execution === "eager" ? "" : `${execution}-`;
    const counted = cases.every(({ memory }) => memory.liveTensorPeak !== null);
    for (const [name, draw] of Object.entries(PLOTS)) {
      if (name !== "memory" || counted) plots.set(`${prefix}${name}.svg`, draw({ ...results, cases }));
    }
  }
  return plots;
}

/** Writes all plots of a bench to PREFIX-time.svg, … and returns the files' names. */
export async function writePlots(results: Plotted, prefix: string): Promise<string[]> {
  const files: string[] = [];
  for (const [name, svg] of drawAll(results)) {
    const file = `${prefix}-${name}`;
    await writeWhole(file, svg);
    files.push(file);
  }
  return files;
}

const nameOf = (useCache: boolean): string => (useCache ? "with the cache" : "without");

/** "the bundled model, batch 1, TensorFlow 2.21.0 on cpu, xla" */
function subtitle(plotted: Plotted, what?: string): string {
  const { execution } = plotted.cases[0]!;
  const parts = [
    modelName(plotted),
    what,
    backendName(plotted),
    execution === "eager" ? undefined : execution,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

/** The case with the most generated tokens that has both modes; of several, that of the smallest or largest batch. */
function longest({ cases }: Plotted, batch: "smallest" | "largest" = "smallest"): Case {
  const sign = batch === "largest" ? -1 : 1;
  const order = (a: Case, b: Case) => b.output - a.output || b.input - a.input || sign * (a.batch - b.batch);
  return pairedCases(cases).toSorted(order)[0]!;
}

/** Time of a generation against the batch size. */
function timePlot(plotted: Plotted): string {
  const { input, output } = longest(plotted);
  const cases = plotted.cases.filter((one) => one.input === input && one.output === output);
  const marks = [false, true].flatMap((useCache) => {
    const points = cases
      .filter((one) => one.useCache === useCache)
      .map(({ batch, seconds }) => ({ x: batch, y: seconds.median, from: seconds.min, to: seconds.max }))
      .toSorted((a, b) => a.x - b.x);
    const stroke = colorOf(useCache);
    return [
      namedLine(points, nameOf(useCache), stroke),
      Plot.ruleX(points, { x: "x", y1: "from", y2: "to", stroke, strokeWidth: 5, strokeOpacity: 0.4 }),
      Plot.dot(points, { x: "x", y: "y", fill: stroke, r: 4 }),
    ];
  });
  const ticks = [...new Set(cases.map(({ batch }) => batch))];
  return frame(`Time for ${output} tokens after a prompt of ${input}`, subtitle(plotted), {
    x: { label: "batch size", ticks, tickFormat: "d", insetLeft: 12, insetRight: 12 },
    y: { label: "seconds", grid: true, zero: true, nice: true },
    marks,
  });
}

/** Time of each step against its position: flat with the cache, rising without, and where the two cross. */
function stepPlot(plotted: Plotted): string {
  const one = longest(plotted);
  const [uncached, cached] = bothModes(plotted.cases, one);
  const { batch, input, output } = one;
  const marks = [uncached, cached].flatMap((each) => {
    const stroke = colorOf(each.useCache);
    const points = medianSteps(each).map((y, i) => ({ x: input + i, y }));
    return [
      Plot.dot(points.slice(0, 1), { x: "x", y: "y", stroke, r: 4 }), // prefill
      namedLine(points.slice(1), nameOf(each.useCache), stroke),
    ];
  });
  const from = crossover(cached, uncached);
  if (from !== undefined && from > input + 1) {
    const text = [`the cache is faster from position ${from}`];
    marks.push(
      Plot.ruleX([from], { stroke: COLOR.ink, strokeDasharray: "4 4" }),
      Plot.text([from], {
        x: (x: number) => x,
        text,
        frameAnchor: "top",
        textAnchor: "start",
        dx: 6,
        fill: COLOR.ink,
        ...HALO,
      }),
    );
  }
  const [slow, fast] = [medianSteps(uncached), medianSteps(cached)];
  const always = slow.every((ms, i) => i === 0 || ms > fast[i]!);
  return frame(
    `Time of a step, by its position${always ? "; the cache is always faster" : ""}`,
    `${subtitle(plotted, `batch ${batch}`)}; circles: prefill of ${input}`,
    {
      x: { label: "positions so far", nice: false, domain: [input, input + output - 1] },
      y: { label: "milliseconds", grid: true, zero: true, nice: true },
      marks,
    },
  );
}

/** Memory at the peak of each step against its position: predicted as a line, measured as circles. */
function memoryPlot(plotted: Plotted): string {
  const one = longest(plotted, "largest");
  const { batch, input, output } = one;
  const marks = bothModes(plotted.cases, one).flatMap(({ useCache, memory }) => {
    const { predicted, liveTensorPeak } = memory.byStep;
    const points = predicted.map((bytes, i) => ({
      x: input + i,
      y: bytes / 1e6,
      measured: liveTensorPeak[i]! / 1e6,
    }));
    const stroke = colorOf(useCache);
    return [
      namedLine(points, nameOf(useCache), stroke),
      Plot.dot(points, { x: "x", y: "measured", stroke, r: 2.5 }),
    ];
  });
  const what = `${subtitle(plotted, `batch ${batch}`)}; lines: predicted, circles: measured`;
  return frame("Peak memory of each step, by its position", what, {
    x: { label: "positions so far", domain: [input, input + output - 1] },
    y: { label: "MB of tensors", grid: true, zero: true, nice: true },
    marks,
  });
}

/** The speed-up by the cache against the number of generated tokens. */
function speedUpPlot(plotted: Plotted): string {
  const { input, output } = longest(plotted);
  const cases = pairedCases(plotted.cases).filter((one) => one.input === input && one.output === output);
  const lines = cases.map((one) => {
    const [uncached, cached] = bothModes(plotted.cases, one);
    return speedUpByLength(cached, uncached).map((y, i) => ({ x: i + 1, y }));
  });
  const highest = Math.max(...lines.flat().map(({ y }) => y));
  const heights = apart(
    lines.map((points) => points.at(-1)!.y),
    highest / 14,
  );
  const marks = cases.flatMap(({ batch }, i) => {
    const end = { x: lines[i]!.length, y: heights[i] };
    const text = {
      text: [`batch ${batch}`],
      dx: 6,
      textAnchor: "start",
      fill: COLOR.with,
      fontWeight: 600,
    } as const;
    return [
      Plot.line(lines[i]!, { x: "x", y: "y", stroke: COLOR.with, strokeWidth: 2 }),
      Plot.text([end], { x: "x", y: "y", ...text }),
    ];
  });
  return frame("Speed-up by the cache, by generated tokens", subtitle(plotted, `input ${input}`), {
    marginRight: 80,
    x: { label: "tokens generated", domain: [1, output] },
    y: { label: "speed-up", grid: true, zero: true, nice: true },
    marks: [Plot.ruleY([1], { stroke: COLOR.faint, strokeDasharray: "2 4" }), ...marks],
  });
}

/** Heights for labels beside the ends of lines: as near to the ends as they can be while `least` apart. */
function apart(ends: readonly number[], least: number): number[] {
  const order = ends.map((_, i) => i).toSorted((a, b) => ends[a]! - ends[b]!);
  const heights = [...ends];
  for (const [rank, i] of order.entries()) {
    const below = order[rank - 1];
    if (below !== undefined) heights[i] = Math.max(heights[i]!, heights[below]! + least);
  }
  return heights;
}
