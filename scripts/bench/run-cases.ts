import { freemem } from "node:os";
import { InputError, predictMemory } from "../../src/index.js";
import type { ModelOptions } from "../model-options.js";
import { modelConfig } from "../open-model.js";
import { clearProgress, duration, verdict } from "../terminal.js";
import { type CaseSpec, type Execution, modeName } from "./case.js";
import type { CaseResults, Measured } from "./results.js";
import { RunningCase } from "./running-case.js";
import { printTitle } from "./study.js";
import { copiesIn, type Outcome, outcomeOf } from "./summarize.js";

/** The cases to measure, and how. */
export interface CaseOptions extends Omit<ModelOptions, "execution" | "dtype"> {
  readonly batch: readonly number[];
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly execution: readonly Execution[];
  readonly mode: "both" | "cached" | "uncached";
  /** Measured runs of each case. */
  readonly repeat: number;
}

/** The cases that the options name, grouped by input, output and batch: a group's cases are measured together. */
function groupsOf({ batch, execution, mode, input, output }: CaseOptions): CaseSpec[][] {
  const modes = { both: [true, false], cached: [true], uncached: [false] }[mode];
  const sizes = input.flatMap((i) =>
    output.flatMap((o) => batch.map((b) => ({ batch: b, input: i, output: o }))),
  );
  return sizes.map((size) =>
    execution.flatMap((how) => modes.map((useCache) => Object.assign({ useCache, execution: how }, size))),
  );
}

/** @throws InputError for the first case that is longer than the model's context */
function checkLengths(specs: readonly CaseSpec[], maxSeqLen: number): void {
  for (const { input, output } of specs) {
    if (input + output <= maxSeqLen) continue;
    throw new InputError(
      `input + output must be within the model's context of ${maxSeqLen} tokens, got ${input} + ${output}`,
    );
  }
}

/**
 * Measures cases, each in a process of its own, and prints a line for each.
 *
 * On a CPU the processes of a group live at once and alternate, run by run, so that whatever slows the machine down slows
 * all of them. On a GPU, whose memory they would share, and where the host's memory is short, they run one after the other.
 *
 * @param save called after each group with the results so far
 * @returns all results; after Ctrl-C those of the finished runs, marked as interrupted
 * @throws InputError for options with which no case can be measured, and where the first model cannot be loaded
 */
export async function runCases(
  options: CaseOptions,
  signal: AbortSignal,
  save?: (results: Measured<CaseResults>) => Promise<void>,
): Promise<Measured<CaseResults>> {
  const config = await modelConfig(options);
  const specs = groupsOf(options);
  checkLengths(specs.flat(), config.maxSeqLen);
  const common: ModelOptions = { ...options, execution: "eager", dtype: "float32" }; // each case has its own
  const groups = specs.map((group) =>
    group.map((spec) => new RunningCase(spec, common, options.repeat, signal)),
  );
  const first = groups[0]![0]!;
  const { backend, model } = await first.open().catch((error: Error) => {
    first.end();
    signal.throwIfAborted();
    throw new InputError(error.message);
  });
  printTitle(model, backend);

  const fromFile = !options.randomWeights;
  const outcomes: Outcome[] = [];
  const results = (interrupted: boolean): Measured<CaseResults> => ({
    backends: [backend],
    model,
    interrupted,
    cases: outcomes.flatMap(({ cases }) => cases),
    pairs: outcomes.flatMap(({ pairs }) => pairs),
    failed: outcomes.flatMap(({ failed }) => failed),
  });
  for (const group of groups) {
    if (signal.aborted) break;
    const copies = Math.max(...group.map(({ spec }) => copiesIn(spec.execution, fromFile, backend.device)));
    const memory = predictMemory(config, { ...group[0]!.spec, useCache: true, copies });
    const bytes = memory.weights + memory.cache + memory.activations;
    const interleaved =
      backend.device !== "cuda" && group.length > 1 && group.length * 2 * bytes <= freemem();
    await measure(interleaved ? [group] : group.map((one) => [one]), options.mode === "both", signal);
    const outcome = outcomeOf(group, {
      config,
      device: backend.device,
      fromFile,
      tf32: options.tf32 === "on",
      interleaved,
    });
    outcomes.push(outcome);
    print(outcome);
    if (outcome.cases.length > 0) await save?.(results(true)); // a process that is killed loses one group
  }
  return results(signal.aborted);
}

/** Measures cases, those of an inner list together; after Ctrl-C they have the runs that were finished. */
async function measure(
  groups: readonly (readonly RunningCase[])[],
  bothModes: boolean,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (const cases of groups) {
      while (cases.some((one) => one.unfinished)) for (const one of cases) await one.measure();
      for (const one of cases) if (bothModes && one.spec.useCache) await one.compare();
      for (const one of cases) one.end();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    for (const one of groups.flat()) one.end();
    clearProgress();
  }
}

function print({ cases, pairs, failed }: Outcome): void {
  const name = (one: CaseSpec) => `batch ${one.batch}, ${one.input}+${one.output} tokens, ${modeName(one)}`;
  for (const one of cases) console.log(`${name(one)}: ${duration(one.seconds.median)}`);
  for (const one of failed) console.log(`${name(one)} ${verdict(false, "failed")}: ${one.reason}`);
  for (const { batch, difference } of pairs) {
    if (difference !== null) console.log(`batch ${batch}: ${verdict(false, "modes differ")}: ${difference}`);
  }
}
