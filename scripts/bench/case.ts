import type { Device, Backend } from "../../src/backend/backend.js";
import type { GenerationCost } from "../../src/cost/cost.js";
import type { Machine } from "../machine.js";
import { weightCopies } from "../../src/cost/predicted-memory.js";
import type { CommonOptions } from "../model-options.js";
import type { Spread } from "./measure.js";

/** How a step is executed: operation by operation, or recorded as one call; compiled by XLA; with bfloat16 weights. */
export const EXECUTIONS = ["eager", "graph", "xla", "graph+bf16", "xla+bf16"] as const;

/** One of `EXECUTIONS`. */
export type Execution = (typeof EXECUTIONS)[number];

/** The options of every command that select one of them. */
export function executionOptions(execution: Execution): Pick<CommonOptions, "execution" | "dtype"> {
  const [mode, dtype] = execution.split("+") as [CommonOptions["execution"], "bf16"?];
  return { execution: mode, dtype: dtype ? "bfloat16" : "float32" };
}

/** "float32", or where that is not so of all weights, of which it is not. */
export function dtypeWords(executions: Iterable<Execution>): string {
  const rounded = new Set([...executions].map((execution) => execution.includes("bf16")));
  if (!rounded.has(true)) return "float32";
  return rounded.has(false) ? "float32, weights bfloat16 where it says so" : "float32, weights bfloat16";
}

/** How often the weights are held in memory. */
export const copiesIn = (execution: Execution, device: Device | undefined): number =>
  weightCopies(execution !== "eager", device, execution.includes("bf16"));

/** What one row of the table measures. */
export interface CellSpec {
  readonly useCache: boolean;
  readonly execution: Execution;
  /** Rows generated together. */
  readonly batch: number;
  /** Tokens of each prompt. */
  readonly input: number;
  /** Tokens generated for each prompt. */
  readonly output: number;
}

/** One row of the table. Times of one run after the other; sizes in bytes. */
export interface Cell extends CellSpec {
  /** Whether its runs alternated with those of the other mode and executions; else they came one after the other. */
  readonly takingTurns: boolean;
  /** Of whole generations; its samples are the runs. */
  readonly seconds: Spread;
  /** Of the first steps, which feed the prompt. */
  readonly firstTokenMs: Spread;
  /** Of all later steps: the samples of the first run in the order of positions, then those of the second, … */
  readonly stepMs: Spread;
  /** Of the whole: generated tokens by seconds. */
  readonly tokensPerSecond: number;
  /** Of the steps after the first: rows by the median step. */
  readonly decodeTokensPerSecond: number;
  /** Of the first step: the prompts' tokens by its median. */
  readonly prefillTokensPerSecond: number;
  readonly memory: CellMemory;
  /** From the configuration alone. */
  readonly cost: Omit<GenerationCost, "steps"> & { readonly arithmeticIntensity: number };
  /** Of the chosen ids as JSON, so that cells of different files can be compared. */
  readonly tokensSha256: string;
  /** Whether both modes chose the same tokens in every run, scores alike to rounding; null where one was not run. */
  readonly identical: boolean | null;
}

/** Bytes that a cell needed. */
export interface CellMemory {
  /** Weights (recorded on a card: twice, while the graph takes them over), cache and the largest intermediate results. */
  readonly predicted: number;
  /** Null for recorded cells, whose tensors are TensorFlow's own. */
  readonly liveTensorPeak: number | null;
  /** The largest that the process was. */
  readonly process: number;
  /** What was taken of the card after the runs, by whoever; null without one. */
  readonly device: number | null;
  /**
   * Of the keys and values: from the configuration, and what the cache's tensors hold; both 0 without the cache. Nothing
   * is measured of recorded cells.
   */
  readonly cache: { readonly predicted: number; readonly measured: number | null };
  /** In every step of the first run; nothing is measured where the peak is null. */
  readonly byStep: { readonly predicted: readonly number[]; readonly liveTensorPeak: readonly number[] };
}

/** A cell that could not be measured. */
export interface FailedCell extends CellSpec {
  readonly reason: string;
}

/** Both modes of one cell, compared. */
export interface Pair extends Omit<CellSpec, "useCache"> {
  readonly identical: boolean;
  /** The largest difference of any score in the runs that were looked at, up to the first different token. */
  readonly maxScoreDifference: number;
  /** Where the modes first chose differently, and what speaks for rounding; null where they did not. */
  readonly difference: string | null;
  /** Time without the cache by time with it, run by run. */
  readonly speedUp: Spread;
  /** What the FLOPs alone would give. */
  readonly predictedSpeedUp: number;
}

/** What `npm run bench -- --json` writes; fixtures/results/bench.schema.json says it for other programs. */
export interface BenchResults {
  readonly date: string;
  /** What stood after `npm run bench --`, but for the files' names. */
  readonly command: readonly string[];
  readonly machine: Machine;
  readonly backend: Backend;
  readonly model: string;
  /** Of everything but the weights, which an execution with "bf16" has in bfloat16. */
  readonly dtype: "float32";
  readonly tf32: boolean;
  readonly commit: string | null;
  /** Whether the program differed from that commit. */
  readonly changed: boolean | null;
  /** The bench ended before the last cell: by Ctrl-C, or by force. */
  readonly interrupted: boolean;
  readonly cells: readonly Cell[];
  readonly pairs: readonly Pair[];
  readonly failed: readonly FailedCell[];
}
