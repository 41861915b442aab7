import type { Backend } from "../src/backend/backend.js";
import type { WeightType } from "../src/graph/tracer.js";
import { runsInGraphMode } from "../src/graph/trace-cache.js";
import { InputError } from "../src/index.js";
import type { CacheKind } from "../src/model/generation-cache.js";

/** Execution modes: operation by operation, or each call as one TensorFlow graph, see `GraphLlama`. */
export const EXECUTIONS = ["eager", "graph", "xla"] as const;

/** One of `EXECUTIONS`. */
export type Execution = (typeof EXECUTIONS)[number];

/** The work that a command is going to do, which decides how to execute it. */
export interface Work {
  /** Tokens asked for, for each sequence. */
  readonly tokens: number;
  /** Sequences. */
  readonly batch: number;
  /** False without the KV cache: no call on a CPU is then short enough for XLA. */
  readonly useCache?: boolean | undefined;
  readonly cacheKind?: CacheKind | undefined;
  /** An option that needs eager execution, such as "--draft"; undefined if there is none. */
  readonly eagerOption?: string | undefined;
}

/**
 * Tokens from which tracing, and compiling, are assumed to pay. Estimates from single runs on two busy cores: set-up time
 * divided by what a step is faster than an eager one. `npm run bench -- --study execution` measures both on any machine.
 */
export const PAYS_FROM = { graph: 64, xla: 256 } as const;

/** On a CPU, XLA compiles calls of at most this many positions, so larger batches gain nothing from it. */
const XLA_BATCH_ON_CPU = 8;

/** An execution, and the reason for it as a sentence goes on: "as 16 tokens are asked for, fewer than 64". */
export interface Choice {
  readonly execution: Execution;
  readonly reason: string;
}

/**
 * Chooses the execution for `--execution auto`: graph mode from 64 tokens on, compiled by XLA from 256 on, else eager.
 *
 * @throws InputError for bfloat16 weights where only eager execution is possible
 */
export function chooseExecution({ name, device }: Backend, dtype: WeightType, work: Work): Choice {
  const { tokens, batch, useCache = true, cacheKind, eagerOption } = work;
  const bfloat16 = dtype === "bfloat16";
  if (name !== "tensorflow") {
    if (bfloat16) throw new InputError(`--dtype bfloat16 must be used on backend tensorflow, got ${name}`);
    return { execution: "eager", reason: `as graph mode needs backend tensorflow` };
  }
  const option = eagerOption ?? (runsInGraphMode(cacheKind) ? undefined : `--cache ${cacheKind!.type}`);
  if (option !== undefined) {
    if (bfloat16) throw new InputError(`--dtype must be float32 with ${option}, got bfloat16`);
    return { execution: "eager", reason: `as ${option} does not run in graph mode` };
  }
  const asked = `as ${tokens} tokens are asked for`;
  if (tokens < PAYS_FROM.graph && !bfloat16) {
    return { execution: "eager", reason: `${asked}, fewer than ${PAYS_FROM.graph}` };
  }
  const few = tokens < PAYS_FROM.xla;
  const compiles = device === "cuda" || (useCache && !bfloat16 && batch <= XLA_BATCH_ON_CPU);
  if (!few && compiles) return { execution: "xla", reason: `${asked}, ${PAYS_FROM.xla} or more` };
  if (bfloat16) return { execution: "graph", reason: "as eager execution has no bfloat16 weights" };
  return { execution: "graph", reason: `${asked}, ${PAYS_FROM.graph} or more` };
}

/** The modes' names in a sentence. */
export const EXECUTION_NAMES: Readonly<Record<Execution, string>> = {
  eager: "eager",
  graph: "graph mode",
  xla: "graph mode compiled by XLA",
};
