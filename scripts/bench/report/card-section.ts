import type { Backend } from "../../../src/backend/backend.js";
import { PRESETS } from "../../../src/model/presets.js";
import { stepCost, weightBytes } from "../../../src/cost/cost.js";
import type { Machine } from "../../machine.js";
import type { Spread } from "../measure.js";
import { type BenchResults, type Cell, dtypeWords, type Execution, EXECUTIONS } from "../case.js";
import { LONG, sameCell } from "../table.js";
import { link, listed, onMachine, paragraph, range, table, titleOf, when } from "./files.js";

/** What `npm run card` writes, as far as it is shown. */
export interface CardResults {
  readonly note?: string;
  readonly date: string;
  readonly commit?: string | null;
  readonly machine: Machine;
  readonly bench: readonly (Pick<BenchResults, "backend" | "model"> & { readonly cells: readonly Cell[] })[];
  readonly profile: readonly StepProfile[];
  readonly tests?: { readonly stats: { readonly tests: number; readonly passes: number } | null };
}

interface StepProfile {
  readonly backend: Backend;
  readonly execution?: Execution;
  readonly batch: number;
  readonly past: number;
  readonly operations: number;
  readonly hostMs: Spread;
  readonly deviceMs?: Spread | null;
  readonly stepMs: Spread;
  readonly pipelinedMs: number;
}

/** What scripts/bench/baselines/peer.py writes. */
export interface PeerResults {
  readonly date: string;
  readonly device: string;
  readonly torch: string;
  readonly transformers: string;
  readonly attention: string;
  readonly cells: readonly {
    readonly useCache: boolean;
    readonly dtype?: string;
    readonly tf32: string;
    readonly batch: number;
    readonly seconds: number;
    readonly stepMs: number;
  }[];
}

/** Bytes a second that cards read from their memory, by their makers' data sheets. */
const BANDWIDTH: Readonly<Record<string, number>> = { "NVIDIA H200": 4.8e12, "NVIDIA H100 80GB HBM3": 3.35e12 }; // prettier-ignore

/** Milliseconds that a step with the cache needs to read weights and cache once, halfway through the generation. */
function readingMs(cell: Cell, model: string, { nvidia }: Machine): string {
  const rate = BANDWIDTH[nvidia?.gpus[0]?.name ?? ""];
  const config = PRESETS[model.split(",")[0]!];
  if (!rate || !config || !cell.useCache) return "";
  const cost = stepCost(config, cell.batch, 1, cell.input + cell.output / 2, true);
  const weights = cost.weightBytes * (cell.execution.includes("bf16") ? 0.5 : 1);
  return `${((1000 * (weights + cost.cacheBytesRead)) / rate).toFixed(1)} ms`;
}

const tf32Of = (backend: Backend): string => /TF32 (on|off)/.exec(backend.description)?.[1] ?? "-";

/** "recorded, XLA" */
const executionOf = ({ execution = "eager" }: { readonly execution?: Execution }): string =>
  LONG[execution] || execution;

function profileTable(profiles: readonly StepProfile[]): string {
  const columns = ["TF32", "batch", "execution", "positions before", "operations", "host issues them in", "each", "card computes for", "result after", "a step, without waiting"]; // prettier-ignore
  return table(
    columns,
    profiles.map((one) => [
      tf32Of(one.backend),
      `${one.batch}`,
      executionOf(one),
      `${one.past}`,
      `${one.operations}`,
      one.execution?.startsWith("graph") ? "one call" : `${one.hostMs.median.toFixed(1)} ms`,
      one.execution?.startsWith("graph")
        ? ""
        : `${((1000 * one.hostMs.median) / one.operations).toFixed(0)} µs`,
      one.deviceMs ? `${one.deviceMs.median.toFixed(1)} ms` : "not measured",
      `${one.stepMs.median.toFixed(1)} ms`,
      `${one.pipelinedMs.toFixed(1)} ms`,
    ]),
  );
}

/** The cells on a card, transformers beside them, and where the time of a step goes. */
export function cardSection(file: string, card: CardResults, peerFile: string, peer?: PeerResults) {
  const { profile, machine, tests, note } = card;
  const bench = card.bench.filter(({ cells: measured }) => measured.length > 0); // else it failed
  const { cells, backend } = bench[0]!;
  const runs = range(bench.flatMap((one) => one.cells.map(({ seconds }) => seconds.samples.length)));
  const how = paragraph(
    `\`npm run card\`: ${bench[0]!.model}, ${dtypeWords(bench.flatMap((one) => one.cells.map(({ execution }) => execution)))}, input ${cells[0]!.input}, output ${cells[0]!.output}, ` +
      `${runs} measured runs after a warm-up; ` +
      `${onMachine(machine, backend)}; ${when(card)} (${link("all samples", file)}).` +
      (tests?.stats ? ` On that card ${tests.stats.passes} of ${tests.stats.tests} tests that compute passed.` : "") +
      sameTokens(bench) +
      (peer ? ` Beside it Hugging Face transformers ${peer.transformers} on PyTorch ${peer.torch}, uncompiled, ${peer.attention} attention, on an ${peer.device}, ${peer.date.slice(0, 10)} ([scripts/bench/baselines/peer.py](scripts/bench/baselines/peer.py), ${link("results", peerFile)}).` : "") +
      (note ? ` Note in the file: ${note}` : ""),
  ); // prettier-ignore
  const order = (cell: Cell) => [EXECUTIONS.indexOf(cell.execution), cell.batch, cell.useCache ? 0 : 1];
  const cellRows = bench
    .flatMap((one) => one.cells.map((cell) => ({ one, cell, tf32: tf32Of(one.backend) })))
    .toSorted((a, b) => b.tf32.localeCompare(a.tf32) || compare(order(a.cell), order(b.cell)));
  const rows = cellRows.map(({ one, cell, tf32 }) => {
    const bfloat16 = cell.execution.includes("bf16");
    const theirs = peer?.cells.find((other) => other.batch === cell.batch && other.useCache === cell.useCache && (bfloat16 ? other.dtype === "bfloat16" : other.dtype !== "bfloat16" && other.tf32 === tf32)); // prettier-ignore
    return [
      tf32,
      `${cell.batch}`,
      cell.useCache ? "with" : "without",
      executionOf(cell),
      `${cell.seconds.median.toFixed(2)} s`,
      cell.tokensPerSecond.toFixed(1),
      `${cell.firstTokenMs.median.toFixed(0)} ms`,
      `${cell.stepMs.median.toFixed(1)} ms`,
      readingMs(cell, one.model, machine),
      gigabytes(cell.memory.predicted),
      cell.execution !== "eager" || cell.memory.liveTensorPeak === null
        ? ""
        : gigabytes(cell.memory.liveTensorPeak),
      cell.memory.device === null ? "" : gigabytes(cell.memory.device),
      theirs ? `${theirs.seconds.toFixed(2)} s, ${theirs.stepMs.toFixed(1)} ms a step` : "",
    ];
  });
  const head = ["TF32", "batch", "KV cache", "execution", "time", "tokens/s", "first token", "a step", "to read all once", "predicted", "tensors", "card", "transformers"]; // prettier-ignore
  return [
    `### ${titleOf(bench[0]!)}`,
    how,
    table(head, rows),
    howToRead(bench, profile),
    profileTable(profile),
  ].join("\n\n");
}

/** Orders lists of numbers by the first one that differs. */
function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}

/** Cells of one process each are compared by what they chose; nothing is said where a file does not tell. */
function sameTokens(bench: CardResults["bench"]): string {
  const all = bench.flatMap(({ backend, cells }) => cells.map((cell) => ({ tf32: tf32Of(backend), cell })));
  const verdicts = all.flatMap(({ tf32, cell }) => {
    const other = all.find(
      (one) => one.tf32 === tf32 && !one.cell.useCache && sameCell(one.cell, cell),
    )?.cell;
    return cell.useCache && other?.tokensSha256 ? [cell.tokensSha256 === other.tokensSha256] : [];
  });
  const same = verdicts.filter(Boolean).length;
  return verdicts.length > 0
    ? ` Both modes chose the same tokens in ${same} of ${verdicts.length} pairs.`
    : "";
}

function howToRead(bench: CardResults["bench"], profiles: readonly StepProfile[]): string {
  const weights = weightBytes(PRESETS[bench[0]!.model.split(",")[0]!]!);
  const most = (eager: boolean) =>
    Math.max(...bench.flatMap(({ cells }) => cells.filter(({ execution }) => (execution === "eager") === eager).map(({ memory }) => memory.device ?? 0))); // prettier-ignore
  const times = [true, false].map(most).filter((bytes) => bytes > 0).map((bytes) => (bytes / weights).toFixed(1)); // prettier-ignore
  const eager = profiles.filter(({ execution }) => !execution?.startsWith("graph"));
  const paced = eager.filter(({ pipelinedMs, hostMs }) => pipelinedMs < 1.25 * hostMs.median);
  const [one, many] = [Math.min, Math.max].map((pick) => pick(...profiles.map(({ batch }) => batch)));
  const growth = profiles.filter(({ batch }) => batch === one).flatMap((few) => {
    const rows = profiles.find((other) => other.batch === many && tf32Of(other.backend) === tf32Of(few.backend) && executionOf(other) === executionOf(few)); // prettier-ignore
    return rows && rows !== few ? [rows.stepMs.median / few.stepMs.median] : [];
  }); // prettier-ignore
  return paragraph(
    `"To read all once" is what no step can be faster than: the bytes of weights and cache by the card's data sheet. "Predicted" is weights, cache and the largest set of intermediate results, from the configuration alone ` +
      `([src/cost/predicted-memory.ts](src/cost/predicted-memory.ts)); "tensors" is what TensorFlow.js counted at the peak; "card" is what ` +
      `nvidia-smi showed as taken afterwards, which TensorFlow takes in growing pieces and never gives back, so also what making ` +
      `the random weights needed and, recorded, the time when graph and backend both have the weights: up to ` +
      `${listed(times)} times the weights${times.length > 1 ? ", eager and recorded" : ""}. ` +
      `One decode step with the cache, and where its time goes: in ${paced.length} of ${eager.length} eager rows, steps that nobody ` +
      `waits for take less than 1.25 times as long as the host needs to issue their operations, so that the host sets the pace.` +
      (growth.length > 0 ? ` A step of ${many} rows takes ${range(growth.map((value) => Number(value.toFixed(1))))} times as long as one of ${one}.` : ""),
  ); // prettier-ignore
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
