import type { Engine } from "../../src/index.js";
import type { Machine } from "../../src/engine/machine.js";
import type { Spread } from "../../src/measure.js";
import type { BenchResults, Cell } from "../bench/cell.js";
import { sameCell } from "../bench/table.js";
import { link, onMachine, paragraph, table, when } from "./files.js";

/** What `npm run card` writes, as far as it is shown. */
export interface CardResults {
  readonly note?: string;
  readonly date: string;
  readonly commit?: string | null;
  readonly machine: Machine;
  readonly bench: readonly (Pick<BenchResults, "engine" | "model"> & { readonly cells: readonly Cell[] })[];
  readonly profile: readonly StepProfile[];
  readonly tests?: { readonly stats: { readonly tests: number; readonly passes: number } | null };
}

interface StepProfile {
  readonly engine: Engine;
  readonly execution?: string;
  readonly batch: number;
  readonly past: number;
  readonly operations: number;
  readonly hostMs: Spread;
  readonly deviceMs?: Spread | null;
  readonly stepMs: Spread;
  readonly pipelinedMs: number;
}

/** What scripts/peer.py writes. */
export interface PeerResults {
  readonly date: string;
  readonly device: string;
  readonly torch: string;
  readonly transformers: string;
  readonly attention: string;
  readonly cells: readonly {
    readonly kvCaching: boolean;
    readonly tf32: string;
    readonly batch: number;
    readonly seconds: number;
    readonly stepMs: number;
  }[];
}

const tf32Of = (engine: Engine): string => /TF32 (on|off)/.exec(engine.description)?.[1] ?? "-";

/** "recorded, XLA" where TensorFlow's compiler was on. */
const executionOf = ({ engine, execution = "eager" }: { engine: Engine; execution?: string }): string =>
  execution.replace("+xla", ", XLA") +
  (execution === "recorded" && / XLA/.test(engine.description) ? ", XLA" : "");

function profileTable(profiles: readonly StepProfile[]): string {
  const columns = ["TF32", "batch", "execution", "positions before", "operations", "host issues them in", "each", "card computes for", "result after", "a step, without waiting"]; // prettier-ignore
  return table(
    columns,
    profiles.map((one) => [
      tf32Of(one.engine),
      `${one.batch}`,
      executionOf(one),
      `${one.past}`,
      `${one.operations}`,
      one.execution?.startsWith("recorded") ? "one call" : `${one.hostMs.median.toFixed(1)} ms`,
      one.execution?.startsWith("recorded")
        ? ""
        : `${((1000 * one.hostMs.median) / one.operations).toFixed(0)} µs`,
      one.deviceMs ? `${one.deviceMs.median.toFixed(1)} ms` : "not measured",
      `${one.stepMs.median.toFixed(1)} ms`,
      `${one.pipelinedMs.toFixed(1)} ms`,
    ]),
  );
}

/** The cells on a card, transformers beside them, and where the time of a step goes. */
export function cardSection(
  title: string,
  file: string,
  card: CardResults,
  peerFile: string,
  peer?: PeerResults,
) {
  const { bench, profile, machine, tests, note } = card;
  const { cells, engine } = bench[0]!;
  const runs = bench.map((one) => one.cells[0]!.seconds.samples.length);
  const how = paragraph(
    `\`npm run card\`: ${bench[0]!.model}, float32, input ${cells[0]!.input}, output ${cells[0]!.output}, ` +
      `${Math.min(...runs) === Math.max(...runs) ? runs[0] : `${Math.min(...runs)} to ${Math.max(...runs)}`} measured runs after a warm-up; ` +
      `${onMachine(machine, engine)}; ${when(card)} (${link("all samples", file)}).` +
      (tests?.stats ? ` On that card ${tests.stats.passes} of ${tests.stats.tests} tests that compute passed.` : "") +
      sameTokens(bench) +
      (peer ? ` Beside it Hugging Face transformers ${peer.transformers} on PyTorch ${peer.torch}, uncompiled, ${peer.attention} attention, on an ${peer.device}, ${peer.date.slice(0, 10)} ([scripts/peer.py](scripts/peer.py), ${link("results", peerFile)}).` : "") +
      (note ? ` Note in the file: ${note}` : ""),
  ); // prettier-ignore
  const rows = bench.flatMap((one) =>
    one.cells.map((cell) => {
      const tf32 = tf32Of(one.engine);
      const theirs = peer?.cells.find((other) => other.batch === cell.batch && other.kvCaching === cell.kvCaching && other.tf32 === tf32); // prettier-ignore
      return [
        tf32,
        `${cell.batch}`,
        cell.kvCaching ? "with" : "without",
        executionOf({ ...one, ...cell }),
        `${cell.seconds.median.toFixed(2)} s`,
        cell.tokensPerSecond.toFixed(1),
        `${cell.firstTokenMs.median.toFixed(0)} ms`,
        `${cell.stepMs.median.toFixed(1)} ms`,
        gigabytes(cell.memory.predicted),
        cell.execution !== "eager" || cell.memory.liveTensorPeak === null
          ? ""
          : gigabytes(cell.memory.liveTensorPeak),
        cell.memory.device === null ? "" : gigabytes(cell.memory.device),
        theirs ? `${theirs.seconds.toFixed(2)} s, ${theirs.stepMs.toFixed(1)} ms a step` : "",
      ];
    }),
  );
  const head = ["TF32", "batch", "KV cache", "execution", "time", "tokens/s", "first token", "a step", "predicted", "tensors", "card", "transformers"]; // prettier-ignore
  return [`### ${title}`, how, table(head, rows), HOW_TO_READ, profileTable(profile)].join("\n\n");
}

/** Cells of one process each are compared by what they chose; nothing is said where a file does not tell. */
function sameTokens(bench: CardResults["bench"]): string {
  const all = bench.flatMap(({ engine, cells }) => cells.map((cell) => ({ tf32: tf32Of(engine), cell })));
  const verdicts = all.flatMap(({ tf32, cell }) => {
    const other = all.find(
      (one) => one.tf32 === tf32 && !one.cell.kvCaching && sameCell(one.cell, cell),
    )?.cell;
    return cell.kvCaching && other?.tokensSha256 ? [cell.tokensSha256 === other.tokensSha256] : [];
  });
  const same = verdicts.filter(Boolean).length;
  return verdicts.length > 0
    ? ` Both modes chose the same tokens in ${same} of ${verdicts.length} pairs.`
    : "";
}

const HOW_TO_READ = paragraph(
  `"Predicted" is weights, cache and the largest set of intermediate results, from the configuration alone ` +
    `([src/predicted-memory.ts](src/predicted-memory.ts)); "tensors" is what TensorFlow.js counted at the peak; "card" is what ` +
    `nvidia-smi showed as taken afterwards, which TensorFlow takes in growing pieces and never gives back: eager, what making the random weights needed; recorded, ` +
    `the weights twice, since the graph takes them over while the engine still has them. ` +
    `One decode step with the cache, and where its time goes: where steps that nobody waits for take about as long ` +
    `as the host needs to issue their operations, the host sets the pace, and sixteen rows take far less than sixteen times one.`,
);

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
