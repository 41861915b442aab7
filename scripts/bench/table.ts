import type { Cell, CellSpec, Execution, FailedCell, Pair } from "./case.js";

/** A table: what stands above its columns (a line each), and its rows. */
export interface Table {
  readonly head: readonly (readonly [string, string])[];
  readonly rows: readonly (readonly string[])[];
  /** Of the columns, at least, so that rows printed one after the other stand below each other. */
  readonly widths?: readonly number[];
}

const MB = 1e6;
const WIDTHS = [5, 7, 4, 6, 3, 6, 5, 6, 7, 9, 7, 7];

/** Executions as a table names them, and in few letters, for a terminal of 80 columns. */
export const SHORT: Readonly<Record<Execution, string>> = {
  eager: "",
  graph: "rec",
  xla: "xla",
  "graph+bf16": "bf16",
  "xla+bf16": "xla 16",
};
const MEANINGS: typeof SHORT = {
  eager: "",
  graph: "a step recorded as one call into TensorFlow",
  xla: "recorded, and compiled by XLA",
  "graph+bf16": "recorded, weights in bfloat16",
  "xla+bf16": "recorded, compiled, weights in bfloat16",
};
/** The same in words, for a page. */
export const LONG: typeof SHORT = {
  eager: "",
  graph: "graph",
  xla: "recorded, XLA",
  "graph+bf16": "recorded, bfloat16",
  "xla+bf16": "recorded, XLA, bfloat16",
};

/** What the few letters of these executions mean, a line each. */
export const legendOf = (executions: readonly Execution[]): string =>
  [...new Set(executions)].filter((one) => SHORT[one]).map((one) => `${SHORT[one]}: ${MEANINGS[one]}`).join("\n"); // prettier-ignore

/** The source document's table: time and memory of each cell. Sizes in MB. */
export function timeTable(cells: readonly Cell[], withCard: boolean, executions = LONG): Table {
  const head: Table["head"] = [["", "batch"], ["KV", "cache"], ["", "runs"], ["", "time s"], ["", "±%"], ["tokens", "per s"], ["first", "ms"], ["step", "ms"], ["tensors", "MB"], ["predicted", "MB"], ["process", "MB"], ["card", "MB"]]; // prettier-ignore
  const rows = cells.map((cell) => {
    const { seconds, tokensPerSecond, firstTokenMs, stepMs, memory } = cell;
    const { median, min, max, samples } = seconds;
    return [
      `${cell.batch}`,
      modeOf(cell, executions),
      `${samples.length}`,
      median.toFixed(2),
      samples.length > 1 ? ((50 * (max - min)) / median).toFixed(0) : "-",
      tokensPerSecond.toFixed(1),
      firstTokenMs.median.toFixed(0),
      stepMs.median.toFixed(1),
      memory.liveTensorPeak === null ? "-" : megabytes(memory.liveTensorPeak),
      megabytes(memory.predicted),
      megabytes(memory.process),
      memory.device === null ? "-" : megabytes(memory.device),
    ];
  });
  const last = withCard ? head.length : head.length - 1;
  return { head: head.slice(0, last), rows: rows.map((row) => row.slice(0, last)), widths: WIDTHS };
}

/** What the cache saves: keys and values, operations, and time. */
export function savingsTable(pairs: readonly Pair[], cells: readonly Cell[], executions = LONG): Table {
  const lengths = ({ input, output }: Pair) => `${input}+${output}`;
  const several = new Set(pairs.map(lengths)).size > 1;
  const head: Table["head"] = [["", "batch"], ["K/V rows", "recomputed"], ["K/V rows", "reused"], ["FLOP/B", "with"], ["FLOP/B", "without"], ["speed-up", "by FLOPs"], ["speed-up", "measured"], ["", "tokens"]]; // prettier-ignore
  const rows = pairs.map((pair) => {
    const [cached, uncached] = modesOf(pair, cells);
    const { median, min, max, samples } = pair.speedUp;
    return [
      `${pair.batch}${several ? ` (${lengths(pair)})` : ""} ${executions[pair.execution]}`.trim(),
      uncached!.cost.kvRowsRecomputed.toLocaleString("en-US"),
      cached!.cost.kvRowsReused.toLocaleString("en-US"),
      cached!.cost.arithmeticIntensity.toFixed(1),
      uncached!.cost.arithmeticIntensity.toFixed(0),
      pair.predictedSpeedUp.toFixed(1),
      median.toFixed(1) + (samples.length > 1 ? ` (${min.toFixed(1)}-${max.toFixed(1)})` : ""),
      pair.identical ? "identical" : "DIFFERENT",
    ];
  });
  return { head, rows };
}

/** For the terminal: columns as wide as they must be, numbers to the right. */
export function alignedTable({ head, rows, widths: least = [] }: Table): string {
  const lines = [head.map(([above]) => above), head.map(([, name]) => name), ...rows];
  const widths = head.map((_, i) => Math.max(least[i] ?? 0, ...lines.map((line) => line[i]!.length)));
  return lines.map((line) => line.map((text, i) => text.padStart(widths[i]!)).join(" ")).join("\n");
}

/** For a README. */
export function markdownTable({ head, rows }: Table): string {
  const names = head.map(([above, name]) => `${above} ${name}`.trim());
  return [names, names.map(() => "---"), ...rows].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

/** For other programs: a line a cell, every number in full; times of medians, sizes in bytes. */
export function csv(cells: readonly Cell[], failed: readonly FailedCell[]): string {
  const head = "useCache,execution,batch,input,output,runs,seconds,secondsMin,secondsMax,firstTokenMs,stepMs,tokensPerSecond,liveTensorPeak,predicted,process,device,flops,kvRowsComputed,kvRowsReused,kvRowsRecomputed,identical,failure"; // prettier-ignore
  const specOf = (spec: CellSpec) => [spec.useCache, spec.execution, spec.batch, spec.input, spec.output];
  const measured = cells.map((cell) => {
    const { seconds, memory, cost } = cell;
    const times = [seconds.samples.length, seconds.median, seconds.min, seconds.max, cell.firstTokenMs.median, cell.stepMs.median, cell.tokensPerSecond]; // prettier-ignore
    const bytes = [memory.liveTensorPeak ?? "", memory.predicted, memory.process, memory.device ?? ""];
    const work = [cost.flops, cost.kvRowsComputed, cost.kvRowsReused, cost.kvRowsRecomputed];
    return [...specOf(cell), ...times, ...bytes, ...work, cell.identical ?? "", ""].join(",");
  });
  const blanks = head.split(",").slice(5, -1).map(() => ""); // prettier-ignore
  const others = failed.map((cell) => [...specOf(cell), ...blanks, quoted(cell.reason)].join(","));
  return [head, ...measured, ...others].join("\n");
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

/** The cells of a pair: with the cache, and without. */
export function modesOf(
  pair: Omit<CellSpec, "useCache">,
  cells: readonly Cell[],
): [Cell | undefined, Cell | undefined] {
  const find = (useCache: boolean) =>
    cells.find((cell) => cell.useCache === useCache && sameCell(cell, pair));
  return [find(true), find(false)];
}

/** Whether both are about the same execution, batch, input and output. */
export const sameCell = (a: Omit<CellSpec, "useCache">, b: Omit<CellSpec, "useCache">): boolean =>
  a.execution === b.execution && a.batch === b.batch && a.input === b.input && a.output === b.output;

/** "with" the cache, or "without"; and how, where it is not eagerly. */
export const modeOf = ({ useCache, execution }: CellSpec, executions = LONG): string =>
  (useCache ? "with" : "without") + (execution === "eager" ? "" : `, ${executions[execution]}`);

const megabytes = (bytes: number): string => (bytes / MB).toFixed(bytes < 100 * MB ? 1 : 0);
