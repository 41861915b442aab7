/** Execution modes, with the weights' dtype: eager, in graph mode, or XLA-compiled; "+bf16": with bfloat16 weights. */
export const EXECUTIONS = ["eager", "graph", "xla", "graph+bf16", "xla+bf16"] as const;

/** One of `EXECUTIONS`. */
export type Execution = (typeof EXECUTIONS)[number];

/** One configuration that bench measures. */
export interface CaseSpec {
  readonly useCache: boolean;
  readonly execution: Execution;
  /** Sequences generated together. */
  readonly batch: number;
  /** Tokens of each prompt. */
  readonly input: number;
  /** Tokens generated for each prompt. */
  readonly output: number;
}

/** A case without its mode: what both modes have in common. */
export type PairSpec = Omit<CaseSpec, "useCache">;

/** True if an execution has bfloat16 weights. */
export const isBfloat16 = (execution: Execution): boolean => execution.endsWith("+bf16");

/** The options of every command that select an execution. */
export function executionOptions(execution: Execution) {
  const mode = execution.split("+")[0] as "eager" | "graph" | "xla";
  return { execution: mode, dtype: isBfloat16(execution) ? ("bfloat16" as const) : ("float32" as const) };
}

/** True if two cases differ in the mode at most. */
export const samePair = (a: PairSpec, b: PairSpec): boolean =>
  a.execution === b.execution && a.batch === b.batch && a.input === b.input && a.output === b.output;

/** The cases [with the cache, without] of a pair; undefined where one was not measured. */
export const modesOf = <Case extends CaseSpec>(cases: readonly Case[], pair: PairSpec) =>
  [true, false].map((mode) => cases.find((one) => one.useCache === mode && samePair(one, pair))) as [
    Case | undefined,
    Case | undefined,
  ];

/** "with xla": the mode, and the execution unless it is eager. */
export const modeName = ({ useCache, execution }: CaseSpec): string =>
  (useCache ? "with" : "without") + (execution === "eager" ? "" : ` ${execution}`);
