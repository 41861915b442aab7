import { writeWhole } from "../../write-file.js";
import { modesOf } from "../case.js";
import { spread } from "../measure.js";
import type { Case, CaseResults, Measured, Pair } from "../results.js";
import { backendName, modelName } from "../words.js";
import { type ModeLine, plot } from "./frame.js";

/** The plots of a bench's first execution, by the ends of their files' names; none unless both modes were measured. */
export function drawAll(results: Measured<CaseResults>): Map<string, string> {
  const [first] = results.pairs;
  if (!first) return new Map();
  const pairs = longestPairs(results.pairs.filter(({ execution }) => execution === first.execution));
  const plots = new Map([
    ["time.svg", timePlot(results, pairs)],
    ["steps.svg", stepPlot(results, pairs[0]!)],
  ]);
  const counted = first.execution === "eager"; // in graph mode, tensors are TensorFlow's own
  return counted ? plots.set("memory.svg", memoryPlot(results, pairs.at(-1)!)) : plots;
}

/** Writes all plots of a bench to PREFIX-time.svg, … and returns the files' names. */
export async function writePlots(results: Measured<CaseResults>, prefix: string): Promise<string[]> {
  const files = [...drawAll(results)].map(([name, svg]) => [`${prefix}-${name}`, svg] as const);
  for (const [file, svg] of files) await writeWhole(file, svg);
  return files.map(([file]) => file);
}

/** The pairs with the most generated tokens, by batch. */
function longestPairs(pairs: readonly Pair[]): Pair[] {
  const [longest] = pairs.toSorted((a, b) => b.output - a.output || b.input - a.input);
  const alike = pairs.filter(({ input, output }) => input === longest!.input && output === longest!.output);
  return alike.toSorted((a, b) => a.batch - b.batch);
}

/** "the bundled model, batch 1, TensorFlow 2.21.0 on cpu, xla" */
function subtitle(results: Measured<CaseResults>, execution: string, what: string): string {
  const parts = [modelName(results), what, backendName(results), execution === "eager" ? "" : execution];
  return parts.filter(Boolean).join(", ");
}

/** Time of a generation against the batch size. */
function timePlot(results: Measured<CaseResults>, pairs: readonly Pair[]): string {
  const { input, output, execution } = pairs[0]!;
  const both = pairs.map((pair) => modesOf(results.cases, pair));
  const lines = [0, 1].map((mode): ModeLine => {
    const line = both.map((cases) => ({ x: cases[mode]!.batch, y: cases[mode]!.seconds.median }));
    return { useCache: mode === 0, line, circles: line };
  });
  const ticks = pairs.map(({ batch }) => batch);
  const x = { label: "batch size", ticks, tickFormat: "d", insetLeft: 12, insetRight: 12 };
  const title = `Time for ${output} tokens after a prompt of ${input}`;
  return plot(title, subtitle(results, execution, ""), x, "seconds", lines);
}

/** The horizontal axis of plots by position. */
const positions = ({ input, output }: Pair) => ({
  label: "positions so far",
  domain: [input, input + output - 1],
});

/** Time of each step against its position: flat with the cache, rising without. */
function stepPlot(results: Measured<CaseResults>, pair: Pair): string {
  const lines = modesOf(results.cases, pair).map((one): ModeLine => {
    const steps = medianSteps(one!).map((y, i) => ({ x: pair.input + i, y }));
    return { useCache: one!.useCache, line: steps.slice(1), circles: steps.slice(0, 1) };
  });
  const what = `${subtitle(results, pair.execution, `batch ${pair.batch}`)}; circles: prefill of ${pair.input}`;
  return plot("Time of each step, by its position", what, positions(pair), "milliseconds", lines);
}

/** The median over the runs, of every step; the first is the prefill. */
function medianSteps({ firstTokenMs, stepMs, output }: Case): number[] {
  const runs = firstTokenMs.samples.map((first, run) => [
    first,
    ...stepMs.samples.slice(run * (output - 1), (run + 1) * (output - 1)),
  ]);
  return runs[0]!.map((_, step) => spread(runs.map((run) => run[step]!)).median);
}

/** Memory at the peak of each step against its position: predicted as a line, measured as circles. */
function memoryPlot(results: Measured<CaseResults>, pair: Pair): string {
  const lines = modesOf(results.cases, pair).map((one): ModeLine => {
    const { predicted, liveTensorPeak } = one!.memory.byStep;
    const megabytes = (bytes: number, i: number) => ({ x: pair.input + i, y: bytes / 1e6 });
    return {
      useCache: one!.useCache,
      line: predicted.map(megabytes),
      circles: liveTensorPeak.map(megabytes),
    };
  });
  const what = `${subtitle(results, pair.execution, `batch ${pair.batch}`)}; lines: predicted, circles: measured`;
  return plot("Peak memory of each step, by its position", what, positions(pair), "MB of tensors", lines);
}
