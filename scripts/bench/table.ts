import { modeName, modesOf, type PairSpec } from "./case.js";
import type { Case, CaseResults, Pair } from "./schema.js";

/** A table: the names of its columns, and its rows. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A table whose columns are given by their names. */
export const tableOf = <Row>(
  rows: readonly Row[],
  columns: Readonly<Record<string, (row: Row) => string>>,
): Table => ({
  head: Object.keys(columns),
  rows: rows.map((row) => Object.values(columns).map((text) => text(row))),
});

/** Bytes in MB. */
export const megabytes = (bytes: number | null): string =>
  bytes === null ? "-" : (bytes / 1e6).toFixed(bytes < 100e6 ? 1 : 0);

/** The columns that every table of cases has. */
export const CASE_COLUMNS = {
  batch: (one: Case) => `${one.batch}`,
  "KV cache": modeName,
  runs: (one: Case) => `${one.seconds.samples.length}`,
  "time s": (one: Case) => one.seconds.median.toFixed(2),
  "±%": ({ seconds: { median, min, max, samples } }: Case) =>
    samples.length > 1 ? ((50 * (max - min)) / median).toFixed(0) : "-",
  "tok/s": (one: Case) => one.tokensPerSecond.toFixed(1),
  "TTFT ms": (one: Case) => one.firstTokenMs.median.toFixed(0),
  "decode ms": (one: Case) => one.stepMs.median.toFixed(1),
};

/** Time and memory of each case. */
export function timeTable(cases: readonly Case[], withGpu: boolean): Table {
  return tableOf(cases, {
    ...CASE_COLUMNS,
    "tensors MB": ({ memory }) => megabytes(memory.liveTensorPeak),
    "predicted MB": ({ memory }) => megabytes(memory.predicted),
    "process MB": ({ memory }) => megabytes(memory.process),
    ...(withGpu && { "GPU MB": ({ memory }: Case) => megabytes(memory.device) }),
  });
}

/** Savings by the cache: keys and values, operations, and time. */
export function savingsTable({ pairs, cases }: Pick<CaseResults, "pairs" | "cases">): Table {
  const nameOf = namerOf(pairs);
  const costOf = (pair: Pair, useCache: boolean) => modesOf(cases, pair)[useCache ? 0 : 1]!.cost;
  return tableOf(pairs, {
    batch: (pair) => nameOf(pair) + (pair.execution === "eager" ? "" : ` ${pair.execution}`),
    "K/V pairs recomputed": (pair) => costOf(pair, false).kvPairsRecomputed.toLocaleString("en-US"),
    "K/V pairs reused": (pair) => costOf(pair, true).kvPairsReused.toLocaleString("en-US"),
    "FLOP/B with": (pair) => costOf(pair, true).arithmeticIntensity.toFixed(1),
    "FLOP/B without": (pair) => costOf(pair, false).arithmeticIntensity.toFixed(0),
    "FLOPs ratio": (pair) => pair.predictedSpeedUp.toFixed(1),
    "measured speed-up": ({ speedUp: { median, min, max, samples } }) =>
      digits(median) + (samples.length > 1 ? ` (${digits(min)}-${digits(max)})` : ""),
    tokens: (pair) => (pair.identical ? "identical" : "DIFFERENT"),
  });
}

/** Two decimals below 10, then one. */
const digits = (ratio: number): string => ratio.toFixed(ratio < 10 ? 2 : 1);

/** Names pairs by their batch size, and by their lengths where those differ: "8 (256+32)". */
function namerOf(pairs: readonly PairSpec[]): (pair: PairSpec) => string {
  const lengths = ({ input, output }: PairSpec) => `${input}+${output}`;
  const several = new Set(pairs.map(lengths)).size > 1;
  return (pair) => `${pair.batch}${several ? ` (${lengths(pair)})` : ""}`;
}

/** For the terminal: numbers to the right, the last word of a column's name on a line of its own. */
export function alignedTable({ head, rows }: Table, least: readonly number[] = []): string {
  const names = head.map((name) =>
    /^(?:(.*) )?(\S+)$/
      .exec(name)!
      .slice(1)
      .map((part) => part ?? ""),
  );
  const lines = [...[0, 1].map((line) => names.map((name) => name[line]!)), ...rows];
  const widths = head.map((_, i) => Math.max(least[i] ?? 0, ...lines.map((line) => line[i]!.length)));
  return lines.map((line) => line.map((text, i) => text.padStart(widths[i]!)).join(" ")).join("\n");
}

/** The table in Markdown. */
export const markdownTable = ({ head, rows }: Table): string =>
  [head, head.map(() => "---"), ...rows].map((line) => `| ${line.join(" | ")} |`).join("\n");
