import type { BenchResults, Cell } from "../../scripts/bench/case.js";
import { sameCell } from "../../scripts/bench/table.js";
import { onMachine, when } from "../../scripts/bench/report/provenance.js";
import type { CardResults } from "../../scripts/bench/report/card-section.js";

/** Both modes of one measured cell. Times in seconds, memory in bytes. */
export interface MeasuredPair {
  readonly batch: number;
  readonly cached: number;
  readonly uncached: number;
  /** Time without by time with: the median over the runs, where they were measured in turns. */
  readonly speedUp: number;
  /** Operations without by operations with. */
  readonly byOperations: number;
  /** Of tensors at the peak; undefined where the backend does not tell. */
  readonly memory: { readonly cached: number; readonly uncached: number } | undefined;
}

/** Pairs that were measured alike, and how. */
export interface Measured {
  readonly title: string;
  /** Input, output, precision, backend, machine, date and commit, in words. */
  readonly how: string;
  readonly pairs: readonly MeasuredPair[];
}

/** A file of fixtures/results with both modes' cells: of `npm run bench`, or of `npm run card`. */
export type ResultsFile = BenchResults | CardResults;

/**
 * The pairs of a file, grouped by how they were computed (eagerly or recorded, with TF32 or without, in which precision)
 * and from how many tokens to how many. Cells whose other mode was not measured are left out.
 */
export function measuredIn(name: string, file: ResultsFile): Measured[] {
  const parts = "bench" in file ? file.bench : [file];
  const all = parts.flatMap(({ backend, cells }) =>
    cells.map((cell) => ({ cell, backend, kind: kindOf(cell, backend), sizes: sizesOf(cell) })),
  );
  const groups = new Set(all.map(({ kind, sizes }) => `${kind}; ${sizes}`));
  return [...groups].flatMap((group) => {
    const alike = all.filter(({ kind, sizes }) => `${kind}; ${sizes}` === group);
    const { backend, kind, sizes } = alike[0]!;
    const pairs = alike.flatMap(({ cell: cached }) => {
      const other = alike.find(({ cell }) => !cell.useCache && sameCell(cell, cached));
      return cached.useCache && other ? pairOf(cached, other.cell, file) : [];
    });
    const how = `${sizes}; ${backend.name} on ${onMachine(file.machine, backend)}; ${when(file)}`;
    return pairs.length > 0 ? { title: `${name}${kind}`, how, pairs } : [];
  });
}

/** ", recorded, TF32 on": what was done to a cell's steps. */
function kindOf({ execution }: Cell, { description }: { readonly description: string }): string {
  const tf32 = /TF32 (?:on|off)/.exec(description)?.[0];
  return [execution === "eager" ? "" : "graph", execution.includes("xla") ? "XLA" : "", tf32]
    .map((word) => (word ? `, ${word}` : ""))
    .join("");
}

/** "256 tokens in, 32 out, float32": how much a cell is, of which numbers. */
const sizesOf = ({ input, output, execution }: Cell): string =>
  `${input} tokens in, ${output} out, ${execution.includes("bf16") ? "bfloat16 weights" : "float32"}`;

function pairOf(cached: Cell, uncached: Cell, file: ResultsFile): MeasuredPair {
  const inTurns = "pairs" in file ? file.pairs : [];
  const pair = inTurns.find((one) => sameCell(one, cached));
  const [a, b] = [cached.memory.liveTensorPeak, uncached.memory.liveTensorPeak];
  const eager = cached.execution === "eager"; // what a recorded step holds is TensorFlow's own
  return {
    batch: cached.batch,
    cached: cached.seconds.median,
    uncached: uncached.seconds.median,
    speedUp: pair?.speedUp.median ?? uncached.seconds.median / cached.seconds.median,
    byOperations: uncached.cost.flops / cached.cost.flops,
    memory: eager && a !== null && b !== null ? { cached: a, uncached: b } : undefined,
  };
}
