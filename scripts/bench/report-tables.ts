import { stepCost } from "../../src/cost/cost.js";
import { PRESETS } from "../../src/model/presets.js";
import { EXECUTIONS, isBfloat16 } from "./case.js";
import type { Case, CaseResults, ResultsOf } from "./schema.js";
import { CASE_COLUMNS, megabytes, type Table, tableOf } from "./table.js";

/** Bytes per second of GPU memory, from the data sheets. */
const BANDWIDTH: Readonly<Record<string, number>> = {
  "NVIDIA H200": 4.8e12,
  "NVIDIA H100 80GB HBM3": 3.35e12,
};

/** Milliseconds that a decode step with the cache needs to read weights and cache once, halfway through the output. */
export function bandwidthBound(one: Case, { machine, model }: CaseResults): number | undefined {
  const bandwidth = BANDWIDTH[machine.nvidia?.gpus[0]?.name ?? ""];
  const config = PRESETS[model?.split(",")[0] ?? ""];
  if (!bandwidth || !config || !one.useCache) return undefined;
  const { weightBytes, cacheBytesRead } = stepCost(config, one.batch, 1, one.input + one.output / 2, true);
  return (1000 * (weightBytes * (isBfloat16(one.execution) ? 0.5 : 1) + cacheBytesRead)) / bandwidth;
}

/** All cases of a GPU, next to those of transformers. */
export function gpuCases({ benches }: ResultsOf<"gpu">, peer: ResultsOf<"transformers">): Table {
  const rows = benches.flatMap((bench) =>
    bench.cases.map((one) => {
      const rounded = isBfloat16(one.execution);
      const [dtype, tf32] = rounded ? ["bfloat16", "off"] : ["float32", bench.tf32 ? "on" : "off"];
      const theirs = peer.cases.find(
        (other) =>
          other.batch === one.batch &&
          other.useCache === one.useCache &&
          other.dtype === dtype &&
          other.tf32 === tf32,
      );
      return { bench, one, theirs };
    }),
  );
  type Row = (typeof rows)[number];
  const columns = Object.entries(CASE_COLUMNS).map(
    ([name, text]) => [name, ({ one }: Row) => text(one)] as const,
  );
  const place = ({ bench, one }: Row) => (bench.tf32 ? 0 : 10) + EXECUTIONS.indexOf(one.execution);
  const sorted = rows.toSorted((a, b) => place(a) - place(b));
  return tableOf(sorted, {
    TF32: ({ bench }) => (bench.tf32 ? "on" : "off"),
    ...Object.fromEntries(columns),
    "bandwidth bound ms": ({ bench, one }) => bandwidthBound(one, bench)?.toFixed(1) ?? "",
    "tensors MB": ({ one }) => megabytes(one.execution === "eager" ? one.memory.liveTensorPeak : null),
    "predicted MB": ({ one }) => megabytes(one.memory.predicted),
    "GPU MB": ({ one }) => megabytes(one.memory.device),
    "transformers time s": ({ theirs }) => theirs?.seconds.toFixed(2) ?? "",
    "transformers decode ms": ({ theirs }) => theirs?.stepMs.toFixed(1) ?? "",
  });
}

/** Host time of a decode step, and what it is compared with. */
export const hostTimes = (rows: ResultsOf<"gpu">["hostTime"]): Table =>
  tableOf(rows, {
    TF32: ({ tf32 }) => (tf32 ? "on" : "off"),
    batch: ({ batch }) => `${batch}`,
    execution: ({ execution }) => execution,
    operations: ({ operations }) => `${operations}`,
    "host time ms": (one) => (one.execution === "eager" ? one.hostMs.median.toFixed(1) : "one call"),
    "µs per operation": (one) =>
      one.execution === "eager" ? ((1000 * one.hostMs.median) / one.operations).toFixed(0) : "",
    "latency ms": ({ latencyMs }) => latencyMs.median.toFixed(1),
    "pipelined ms": ({ pipelinedMs }) => pipelinedMs.toFixed(1),
  });

/** The strategies at the largest length. */
export function cacheWrites({ cases }: ResultsOf<"cache-write">): Table {
  const longest = Math.max(...cases.map(({ length }) => length));
  const rows = cases.filter(({ length }) => length === longest);
  return tableOf(rows, {
    backend: ({ backend }) => backend,
    strategy: ({ strategy }) => strategy,
    "write µs": ({ writeMicroseconds }) => writeMicroseconds.median.toFixed(1),
    "write + read µs": ({ writeAndReadMicroseconds }) => writeAndReadMicroseconds.median.toFixed(1),
    "allocated MB": ({ writeBytes }) => megabytes(writeBytes),
    "allocated with read MB": ({ writeAndReadBytes }) => megabytes(writeAndReadBytes),
  });
}

/** Measured times, and those of the matmuls and of reading the weights. */
export function roofline({ input, prefillMs, stepMs }: ResultsOf<"roofline">): Table {
  const rows = [
    { phase: `prefill of ${input}`, ...prefillMs, weightRead: undefined },
    { phase: "decode step", ...stepMs },
  ];
  const ratio = (a: number, b: number | undefined) => (b ? (a / b).toFixed(2) : "");
  return tableOf(rows, {
    "": ({ phase }) => phase,
    "measured ms": ({ measured }) => measured.median.toFixed(1),
    "matmuls ms": ({ matmuls }) => matmuls.median.toFixed(1),
    "measured/matmuls": ({ measured, matmuls }) => ratio(measured.median, matmuls.median),
    "weight read ms": ({ weightRead }) => weightRead?.median.toFixed(1) ?? "",
    "measured/weight read": ({ measured, weightRead }) => ratio(measured.median, weightRead?.median),
  });
}
