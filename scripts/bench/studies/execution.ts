import { integer } from "../../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../../model-options.js";
import { clearProgress } from "../../terminal.js";
import type { Execution } from "../case.js";
import { withEmptyCompileCache } from "../compile-cache.js";
import { spread } from "../measure.js";
import type { Results, Spread } from "../results.js";
import { RunningCase } from "../running-case.js";
import { jsonOption, printTitle, studyOf } from "../study.js";
import { type Table, tableOf } from "../table.js";

interface Options extends Omit<ModelOptions, "execution" | "dtype"> {
  readonly batch: number;
  readonly input: number;
  readonly repeat: number;
}

/** Tokens of a generation: in graph mode, prefill and blocks of 1, 2, 4, 8 and five times 16 decode steps. */
const OUTPUT = 96;

/** Decode steps at its end from which the time of a step is taken: two blocks. */
const LAST = 32;

const description =
  "The number of tokens from which graph mode pays, and XLA: first generations of new processes, with tracing and " +
  "compiling, in all executions, alternating. The thresholds of --execution auto are from this.";
const program = withRandomWeights(command("bench", description, []))
  .option("--batch <n>", "sequences", integer(), 1)
  .option("--input <n>", "tokens of each prompt", integer(), 64)
  .option("--repeat <n>", "rounds; each starts every execution once", integer(), 3)
  .addOption(jsonOption());

/** The first generations of one execution. */
interface ExecutionCase {
  readonly execution: Execution;
  /** Time of a generation of n tokens, less n times the time of a step: set-up, prefill and slower first steps. */
  readonly startMs: Spread;
  readonly stepMs: Spread;
  readonly seconds: Spread;
}

/** The start and the step of each execution. */
export interface Executions extends Results<"execution"> {
  readonly batch: number;
  readonly input: number;
  readonly output: number;
  readonly cases: readonly ExecutionCase[];
}

/** Measures from how many tokens on each execution pays. */
export const study = studyOf<Options, Executions>({
  name: "execution",
  program,
  async measure({ batch, input, repeat, ...options }, signal) {
    const executions = ["eager", "graph", "xla"] as const;
    const runs = new Map(executions.map((execution) => [execution, [] as number[][]]));
    let opened: Awaited<ReturnType<RunningCase["open"]>> | undefined;
    for (let round = 0; round < repeat; round++) {
      for (const execution of executions) {
        signal.throwIfAborted();
        const spec = { execution, batch, input, output: OUTPUT, useCache: true };
        await withEmptyCompileCache(async (env) => {
          const running = new RunningCase(spec, { ...options, execution, dtype: "float32" }, 1, signal, env);
          try {
            const first = await running.open();
            if (!opened) printTitle(first.model, first.backend);
            opened = first;
            runs.get(execution)!.push(await running.first());
          } finally {
            running.end();
            clearProgress();
          }
        });
      }
      console.log(`round ${round + 1} of ${repeat} is done`);
    }
    const cases = executions.map((execution) => caseOf(execution, runs.get(execution)!));
    return { backends: [opened!.backend], model: opened!.model, batch, input, output: OUTPUT, cases };
  },
  tables: ({ cases }) => [executionTable(cases)],
});

/** @param runs of each, the times of all steps */
function caseOf(execution: Execution, runs: readonly (readonly number[])[]): ExecutionCase {
  const sum = (times: readonly number[]) => times.reduce((all, ms) => all + ms, 0);
  const step = (times: readonly number[]) => sum(times.slice(-LAST)) / LAST;
  return {
    execution,
    startMs: spread(runs.map((times) => sum(times) - times.length * step(times))),
    stepMs: spread(runs.map(step)),
    seconds: spread(runs.map((times) => sum(times) / 1000)),
  };
}

/** Tokens from which an execution takes less time than another; infinite if its steps take no less. */
export function paysFrom(one: ExecutionCase, other: ExecutionCase): number {
  const gained = other.stepMs.median - one.stepMs.median;
  if (gained <= 0) return Infinity;
  return Math.max(1, Math.ceil((one.startMs.median - other.startMs.median) / gained));
}

/** Times of each execution, and from how many tokens on it pays. */
export const executionTable = (cases: readonly ExecutionCase[]): Table => {
  const against = (execution: Execution) => (one: ExecutionCase) => {
    const other = cases.find((each) => each.execution === execution)!;
    if (cases.indexOf(one) <= cases.indexOf(other)) return "";
    const tokens = paysFrom(one, other);
    return tokens === Infinity ? "never" : `${tokens} tokens`;
  };
  return tableOf(cases, {
    execution: ({ execution }) => execution,
    runs: ({ seconds }) => `${seconds.samples.length}`,
    "start s": ({ startMs }) => (startMs.median / 1000).toFixed(2),
    "decode ms": ({ stepMs }) => stepMs.median.toFixed(1),
    "time s": ({ seconds }) => seconds.median.toFixed(2),
    "faster than eager from": against("eager"),
    "faster than graph from": against("graph"),
  });
};
