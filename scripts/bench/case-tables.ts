import { modeName, modesOf, type PairSpec } from "./case.js";
import type { Case, CaseResults, Pair } from "./results.js";
import { megabytes, type Table, tableOf } from "./table.js";

/** The columns that every table of cases has. */
export const CASE_COLUMNS = {
  batch: (one: Case) => `${one.batch}`,
  "KV cache": modeName,
  runs: (one: Case) => `${one.seconds.samples.length}`,
  "time s": (one: Case) => one.seconds.median.toFixed(2),
  "±%": ({ seconds: { median, min, max, samples } }: Case) =>
    samples.length > 1 ? ((50 * (max - min)) / median).toFixed(0) : "-",
  "tok/s": ({ batch, output, seconds }: Case) => ((batch * output) / seconds.median).toFixed(1),
  "TTFT ms": (one: Case) => one.firstTokenMs.median.toFixed(0),
  "decode ms": (one: Case) => one.stepMs.median.toFixed(1),
};

/** Time and memory of each case. */
export function timeTable({ cases, backends: [{ device }] }: CaseResults): Table {
  return tableOf(cases, {
    ...CASE_COLUMNS,
    "tensors MB": ({ memory }) => megabytes(memory.liveTensorPeak),
    "predicted MB": ({ memory }) => megabytes(memory.predicted),
    "process MB": ({ memory }) => megabytes(memory.process),
    ...(device === "cuda" && { "GPU MB": ({ memory }: Case) => megabytes(memory.device) }),
  });
}

/** Savings by the cache: keys and values, operations, and time. */
export function savingsTable({ pairs, cases }: CaseResults): Table {
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

/** Both modes side by side, for the README. */
export function sixCases({ pairs, cases }: CaseResults): Table {
  const seconds = (pair: Pair) => modesOf(cases, pair).map((one) => `${one!.seconds.median.toFixed(2)} s`);
  return tableOf(pairs, {
    batch: ({ batch }) => `${batch}`,
    "without the cache": (pair) => seconds(pair)[1]!,
    "with the cache": (pair) => seconds(pair)[0]!,
    "speed-up": ({ speedUp }) => speedUp.median.toFixed(1),
  });
}
