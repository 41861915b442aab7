import { isBfloat16, samePair } from "../../scripts/bench/case.js";
import type { Case, CaseResults } from "../../scripts/bench/results.js";
import type { Gpu } from "../../scripts/bench/gpu-tables.js";
import { onMachine, when } from "../../scripts/bench/words.js";

/** Both modes of one measured case. Times in seconds, memory in bytes. */
export interface MeasuredPair {
  readonly batch: number;
  readonly cached: number;
  readonly uncached: number;
  /** Uncached time divided by cached time: the median over the runs, if the modes were measured alternately. */
  readonly speedUp: number;
  /** Uncached operations divided by cached operations. */
  readonly byOperations: number;
  /** Peak tensor memory; undefined if the backend does not report it. */
  readonly memory: { readonly cached: number; readonly uncached: number } | undefined;
}

/** Pairs that were measured under the same conditions. */
export interface Measured {
  readonly title: string;
  /** Input, output, precision, backend, machine, date and commit. */
  readonly how: string;
  readonly pairs: readonly MeasuredPair[];
}

/** A file of fixtures/results with cases of both modes. */
export type ResultsFile = CaseResults | Gpu;

/**
 * The pairs of a file, grouped by execution, TF32, precision, and input and output length. Cases without a counterpart in
 * the other mode are left out.
 */
export function measuredIn(name: string, file: ResultsFile): Measured[] {
  const parts = "benches" in file ? file.benches : [file];
  const all = parts.flatMap(({ backends: [backend], cases }) =>
    cases.map((one) => ({ one, backend, kind: kindOf(one, backend), sizes: sizesOf(one) })),
  );
  const groups = new Set(all.map(({ kind, sizes }) => `${kind}; ${sizes}`));
  return [...groups].flatMap((key) => {
    const group = all.filter(({ kind, sizes }) => `${kind}; ${sizes}` === key);
    const { backend, kind, sizes } = group[0]!;
    const pairs = group.flatMap(({ one: cached }) => {
      const other = group.find(({ one }) => !one.useCache && samePair(one, cached));
      return cached.useCache && other ? pairOf(cached, other.one, file) : [];
    });
    const how = `${sizes}; ${backend.name} on ${onMachine(file.machine, backend)}; ${when(file)}`;
    return pairs.length > 0 ? { title: `${name}${kind}`, how, pairs } : [];
  });
}

/** Execution of a case: ", graph, TF32 on". */
function kindOf({ execution }: Case, { description }: { readonly description: string }): string {
  const tf32 = /TF32 (?:on|off)/.exec(description)?.[0];
  return [execution === "eager" ? "" : "graph", execution.includes("xla") ? "XLA" : "", tf32]
    .map((word) => (word ? `, ${word}` : ""))
    .join("");
}

/** Lengths and precision of a case: "256 tokens in, 32 out, float32". */
const sizesOf = ({ input, output, execution }: Case): string =>
  `${input} tokens in, ${output} out, ${isBfloat16(execution) ? "bfloat16 weights" : "float32"}`;

function pairOf(cached: Case, uncached: Case, file: ResultsFile): MeasuredPair {
  const alternated = "pairs" in file ? file.pairs : [];
  const pair = alternated.find((one) => samePair(one, cached));
  const [a, b] = [cached.memory.liveTensorPeak, uncached.memory.liveTensorPeak];
  const eager = cached.execution === "eager"; // in graph mode, TensorFlow holds tensors that we cannot count
  return {
    batch: cached.batch,
    cached: cached.seconds.median,
    uncached: uncached.seconds.median,
    speedUp: pair?.speedUp.median ?? uncached.seconds.median / cached.seconds.median,
    byOperations: uncached.cost.flops / cached.cost.flops,
    memory: eager && a !== null && b !== null ? { cached: a, uncached: b } : undefined,
  };
}
