import { PRESETS } from "../../src/model/presets.js";
import type { Transformers } from "./baselines/programs.js";
import { EXECUTIONS, isBfloat16 } from "./case.js";
import { CASE_COLUMNS } from "./case-tables.js";
import type { FirstToken } from "./first-token.js";
import { predictedOnGpu } from "./gpu-memory.js";
import type { Case, CaseResults, Results } from "./results.js";
import type { HostTime } from "./studies/host-time.js";
import { megabytes, type Table, tableOf } from "./table.js";

/** All measurements on a GPU. */
export interface Gpu extends Results<"gpu"> {
  readonly hostTime: readonly HostTime[];
  /** One per TF32 setting and sitting, where they were joined. */
  readonly benches: readonly CaseResults[];
  readonly failed: readonly string[];
  /** Circumstances that a reader of the figures has to know, added by hand. */
  readonly note?: string;
  /** With --checkpoint: from the start of a command to its first token. */
  readonly firstTokens?: readonly FirstToken[];
  /** With --context: one sequence after long prompts. */
  readonly contexts?: CaseResults | undefined;
  /** With --python: compiled PyTorch on the same GPU. */
  readonly peers?: Transformers | undefined;
}

/** From the start of a command to its first token. */
export const firstTokenTable = (rows: readonly FirstToken[]): Table =>
  tableOf(rows, {
    weights: ({ dtype }) => dtype,
    "compile cache": ({ warm }) => (warm ? "warm" : "cold"),
    "first token s": ({ firstTokenSeconds }) => firstTokenSeconds.toFixed(1),
    "all s": ({ seconds }) => seconds.toFixed(1),
    "GPU peak MB": ({ deviceBytes }) => megabytes(deviceBytes),
    "process peak MB": ({ processBytes }) => megabytes(processBytes),
  });

/** Compiled PyTorch's cases. */
export const peerTable = ({ cases }: Transformers): Table =>
  tableOf(cases, {
    program: ({ by }) => by,
    dtype: ({ dtype, tf32 }) => (tf32 === "on" ? `${dtype}, TF32` : dtype),
    batch: ({ batch }) => `${batch}`,
    "time s": ({ seconds }) => seconds.toFixed(3),
    "TTFT ms": ({ firstTokenMs }) => firstTokenMs.toFixed(1),
    "decode ms": ({ stepMs }) => stepMs.toFixed(2),
  });

/** A case, and whether TF32 was on. */
interface Row extends Case {
  readonly tf32: boolean;
}

const rowsOf = (benches: Gpu["benches"]): Row[] =>
  benches.flatMap(({ cases, tf32 }) => cases.map((one) => ({ ...one, tf32 })));

/** True if a peer's case has the same sizes and the same precision. */
function isAlike(peer: Transformers["cases"][number], { batch, useCache, execution, ...row }: Row): boolean {
  const [dtype, tf32] = isBfloat16(execution) ? ["bfloat16", "off"] : ["float32", row.tf32 ? "on" : "off"];
  return peer.batch === batch && peer.useCache === useCache && peer.dtype === dtype && peer.tf32 === tf32;
}

/** One sequence after prompts of several lengths. */
export const contextTable = ({ cases }: CaseResults): Table =>
  tableOf(cases, {
    "prompt tokens": ({ input }) => input.toLocaleString("en-US"),
    "TTFT s": ({ firstTokenMs }) => (firstTokenMs.median / 1000).toFixed(2),
    "decode ms": ({ stepMs }) => stepMs.median.toFixed(2),
    "GPU MB": ({ memory }) => megabytes(withoutContext(memory)),
    "predicted MB": ({ memory }) => megabytes(memory.predicted),
  });

/** Bytes on a GPU beside what CUDA itself takes. */
const withoutContext = ({ device, context }: Case["memory"]): number | null =>
  device === null || context == null ? null : device - context;

/** Decode steps next to compiled PyTorch's, in milliseconds, by weights and batch size. */
export function stepSummary(results: Gpu): Table {
  const rows = compiledRows(results);
  const sizes = [...new Set(rows.map(({ batch }) => batch))];
  const step = (weights: string, size: number) => {
    const { stepMs, peer } = rows.find((row) => weightsOf(row) === weights && row.batch === size)!;
    return `${stepMs.median.toFixed(2)} / ${peer.stepMs.toFixed(2)}`;
  };
  return tableOf([...new Set(rows.map(weightsOf))], {
    weights: (weights) => weights,
    ...Object.fromEntries(sizes.map((size) => [`batch ${size}`, (weights: string) => step(weights, size)])),
  });
}

/** All cases of a GPU, next to those of transformers. */
export function gpuTable({ benches }: Pick<Gpu, "benches">, peers?: Transformers["cases"]): Table {
  const rows = rowsOf(benches);
  const place = ({ tf32, execution }: Row) => (tf32 ? 0 : 10) + EXECUTIONS.indexOf(execution);
  const peerOf = (row: Row) => peers?.find((peer) => isAlike(peer, row));
  return tableOf<Row>(
    rows.toSorted((a, b) => place(a) - place(b)),
    {
      TF32: ({ tf32 }) => (tf32 ? "on" : "off"),
      ...CASE_COLUMNS,
      "tensors MB": ({ execution, memory }) =>
        megabytes(execution === "eager" ? memory.liveTensorPeak : null),
      "predicted MB": ({ memory }) => megabytes(memory.predicted),
      "GPU MB": ({ memory }) => megabytes(memory.device),
      "CUDA context MB": ({ memory }) => megabytes(memory.context ?? null),
      ...(peers && {
        "transformers time s": (one: Row) => peerOf(one)?.seconds.toFixed(2) ?? "",
        "transformers decode ms": (one: Row) => peerOf(one)?.stepMs.toFixed(1) ?? "",
      }),
    },
  );
}

/** The compiled cases next to compiled PyTorch's; memory beside CUDA's own. */
export function compiledTable(results: Gpu): Table {
  const config = PRESETS["llama-3.2-1b"]!;
  const ratio = (ours: number, theirs: number) => (ours / theirs).toFixed(2);
  return tableOf(compiledRows(results), {
    weights: weightsOf,
    batch: ({ batch }) => `${batch}`,
    "time ms": ({ seconds }) => (1000 * seconds.median).toFixed(1),
    "TTFT ms": ({ firstTokenMs }) => firstTokenMs.median.toFixed(1),
    "decode ms": ({ stepMs }) => stepMs.median.toFixed(2),
    "PyTorch's time ms": ({ peer }) => (1000 * peer.seconds).toFixed(1),
    "its TTFT ms": ({ peer }) => peer.firstTokenMs.toFixed(1),
    "its decode ms": ({ peer }) => peer.stepMs.toFixed(2),
    "ratio of times": ({ seconds, peer }) => ratio(seconds.median, peer.seconds),
    "of decode steps": ({ stepMs, peer }) => ratio(stepMs.median, peer.stepMs),
    "GPU MB": ({ memory }) => megabytes(withoutContext(memory)),
    "predicted MB": (one) => megabytes(predictedOnGpu(config, one, isBfloat16(one.execution))),
  });
}

/** The cases with compiled PyTorch's of the same sizes; bfloat16 first. */
function compiledRows({ benches, peers }: Gpu): (Row & { readonly peer: Transformers["cases"][number] })[] {
  const programs = peers!.cases.filter(({ by }) => by === "PyTorch, compiled");
  return rowsOf(benches)
    .map((row) => Object.assign({ peer: programs.find((peer) => isAlike(peer, row))! }, row))
    .toSorted((a, b) => EXECUTIONS.indexOf(b.execution) - EXECUTIONS.indexOf(a.execution));
}

const weightsOf = ({ execution, tf32 }: Row): string =>
  `${isBfloat16(execution) ? "bfloat16" : "float32"}${tf32 ? ", TF32 on" : ""}`;
