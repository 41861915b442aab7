import * as Plot from "@observablehq/plot";
import { writeWhole } from "../../write-file.js";
import { EXECUTIONS } from "../case.js";
import type { Case, CaseResults } from "../schema.js";
import { backendName, modelName } from "../words.js";
import { COLOR, frame, HALO, namedLine } from "./frame.js";
import { bothModes, crossover, medianSteps, pairedCases, speedUpByLength } from "./series.js";

/** Results that plots are drawn from: cases of one execution, some of them in both modes. */
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
  const files = [...drawAll(results)].map(([name, svg]) => [`${prefix}-${name}`, svg] as const);
  for (const [file, svg] of files) await writeWhole(file, svg);
  return files.map(([file]) => file);
}

const colorOf = (useCache: boolean): string => (useCache ? COLOR.with : COLOR.without);
const nameOf = (useCache: boolean): string => (useCache ? "with the cache" : "without");
const axis = (label: string) => ({ label, grid: true, zero: true, nice: true });

/** "the bundled model, batch 1, TensorFlow 2.21.0 on cpu, xla" */
function subtitle(plotted: Plotted, what: string): string {
  const { execution } = plotted.cases[0]!;
  const parts = [modelName(plotted), what, backendName(plotted), execution === "eager" ? "" : execution];
  return parts.filter(Boolean).join(", ");
}

/** The case with the most generated tokens that has both modes; of several, that of the smallest batch (sign 1) or largest. */
const longest = ({ cases }: Plotted, sign: 1 | -1 = 1): Case =>
  pairedCases(cases).toSorted(
    (a, b) => b.output - a.output || b.input - a.input || sign * (a.batch - b.batch),
  )[0]!;

/** Time of a generation against the batch size. */
function timePlot(plotted: Plotted): string {
  const { input, output } = longest(plotted);
  const cases = plotted.cases
    .filter((one) => one.input === input && one.output === output)
    .toSorted((a, b) => a.batch - b.batch);
  const marks = [false, true].flatMap((useCache) => {
    const points = cases
      .filter((one) => one.useCache === useCache)
      .map(({ batch, seconds }) => ({ x: batch, y: seconds.median, from: seconds.min, to: seconds.max }));
    const stroke = colorOf(useCache);
    return [
      namedLine(points, nameOf(useCache), stroke),
      Plot.ruleX(points, { x: "x", y1: "from", y2: "to", stroke, strokeWidth: 5, strokeOpacity: 0.4 }),
      Plot.dot(points, { x: "x", y: "y", fill: stroke, r: 4 }),
    ];
  });
  const ticks = [...new Set(cases.map(({ batch }) => batch))];
  const x = { label: "batch size", ticks, tickFormat: "d", insetLeft: 12, insetRight: 12 };
  const title = `Time for ${output} tokens after a prompt of ${input}`;
  return frame(title, subtitle(plotted, ""), { x, y: axis("seconds"), marks });
}

/** Time of each step against its position: flat with the cache, rising without, and where the two cross. */
function stepPlot(plotted: Plotted): string {
  const { batch, input, output, ...one } = longest(plotted);
  const [uncached, cached] = bothModes(plotted.cases, { batch, input, output, ...one });
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
    const label = { text, frameAnchor: "top", textAnchor: "start", dx: 6, fill: COLOR.ink, ...HALO } as const;
    marks.push(Plot.ruleX([from], { stroke: COLOR.ink, strokeDasharray: "4 4" }));
    marks.push(Plot.text([from], { x: (x: number) => x, ...label }));
  }
  const [slow, fast] = [medianSteps(uncached), medianSteps(cached)];
  const always = slow.every((ms, i) => i === 0 || ms > fast[i]!);
  const title = `Time of a step, by its position${always ? "; the cache is always faster" : ""}`;
  const what = `${subtitle(plotted, `batch ${batch}`)}; circles: prefill of ${input}`;
  const x = { label: "positions so far", nice: false, domain: [input, input + output - 1] };
  return frame(title, what, { x, y: axis("milliseconds"), marks });
}

/** Memory at the peak of each step against its position: predicted as a line, measured as circles. */
function memoryPlot(plotted: Plotted): string {
  const one = longest(plotted, -1);
  const { batch, input, output } = one;
  const marks = bothModes(plotted.cases, one).flatMap(({ useCache, memory: { byStep } }) => {
    const [lines, circles] = [byStep.predicted, byStep.liveTensorPeak].map((sizes) =>
      sizes.map((bytes, i) => ({ x: input + i, y: bytes / 1e6 })),
    );
    const stroke = colorOf(useCache);
    return [
      namedLine(lines!, nameOf(useCache), stroke),
      Plot.dot(circles!, { x: "x", y: "y", stroke, r: 2.5 }),
    ];
  });
  const what = `${subtitle(plotted, `batch ${batch}`)}; lines: predicted, circles: measured`;
  const x = { label: "positions so far", domain: [input, input + output - 1] };
  return frame("Peak memory of each step, by its position", what, { x, y: axis("MB of tensors"), marks });
}

/** The speed-up by the cache against the number of generated tokens. */
function speedUpPlot(plotted: Plotted): string {
  const { input, output } = longest(plotted);
  const cases = pairedCases(plotted.cases).filter((one) => one.input === input && one.output === output);
  const lines = cases.map((one) =>
    speedUpByLength(...bothModes(plotted.cases, one)).map((y, i) => ({
      x: i + 1,
      y,
      name: `batch ${one.batch}`,
    })),
  );
  const ends = lines.map((points) => points.at(-1)!).toSorted((a, b) => a.y - b.y);
  const least = Math.max(...lines.flat().map(({ y }) => y)) / 14;
  let below = -Infinity;
  const labels = ends.map(({ x: at, y, name }) => ({ x: at, y: (below = Math.max(y, below + least)), name })); // not one on the other
  const style = { text: "name", dx: 6, textAnchor: "start", fill: COLOR.with, fontWeight: 600 } as const;
  const marks = [
    Plot.ruleY([1], { stroke: COLOR.faint, strokeDasharray: "2 4" }),
    ...lines.map((points) => Plot.line(points, { x: "x", y: "y", stroke: COLOR.with, strokeWidth: 2 })),
    Plot.text(labels, { x: "x", y: "y", ...style }),
  ];
  const x = { label: "tokens generated", domain: [1, output] };
  const options = { marginRight: 80, x, y: axis("speed-up"), marks };
  return frame("Speed-up by the cache, by generated tokens", subtitle(plotted, `input ${input}`), options);
}
