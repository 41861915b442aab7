import { freemem } from "node:os";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { InputError, predictMemory } from "../../src/index.js";
import type { ModelOptions } from "../model-options.js";
import { modelConfig } from "../open-model.js";
import { type CaseSpec, type Execution, samePair } from "./case.js";
import { provenance } from "./results-file.js";
import { type Measuring, type Opened, type Repeats, RunningCase } from "./running-case.js";
import type { CaseResults } from "./schema.js";
import { copiesIn, type Outcome, outcomeOf } from "./summarize.js";

/** The cases to measure, and how. */
export interface CaseOptions extends Omit<ModelOptions, "execution" | "dtype"> {
  readonly batch: readonly number[];
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly execution: readonly Execution[];
  readonly mode: "both" | "cached" | "uncached";
}

/** Called while cases are measured. */
export interface Watch {
  readonly onOpen?: (opened: Opened) => void;
  readonly onStep?: Measuring["onStep"];
  /** The cases of a group are measured; `results` are all so far, undefined where nothing could be loaded. */
  readonly onGroup?: (outcome: Outcome, results: CaseResults | undefined) => Promise<void> | void;
}

/** The cases that the options name, grouped by input, output and batch: a group's cases are measured together. */
export function groupsOf({ batch, execution, mode, input, output }: CaseOptions): CaseSpec[][] {
  const modes = { both: [true, false], cached: [true], uncached: [false] }[mode];
  const sizes = input.flatMap((i) =>
    output.flatMap((o) => batch.map((b) => ({ batch: b, input: i, output: o }))),
  );
  return sizes.map((size) =>
    execution.flatMap((how) => modes.map((useCache) => Object.assign({ useCache, execution: how }, size))),
  );
}

/** @throws InputError for the first case that is longer than the model's context */
export function checkLengths(specs: readonly Pick<CaseSpec, "input" | "output">[], maxSeqLen: number): void {
  for (const { input, output } of specs) {
    if (input + output <= maxSeqLen) continue;
    throw new InputError(
      `input ${input} and output ${output} make ${input + output} positions, the model's context has ${maxSeqLen}`,
    );
  }
}

/**
 * Measures cases, each in a process of its own.
 *
 * @param command its words, for the results
 * @returns all results; marked as interrupted after Ctrl-C; undefined where no model could be loaded
 * @throws InputError for options with which no case can be measured
 */
export async function runCases(
  options: CaseOptions,
  repeats: Repeats,
  command: string[],
  signal: AbortSignal,
  { onOpen, onStep, onGroup }: Watch = {},
): Promise<CaseResults | undefined> {
  const config = await modelConfig(options);
  const groups = groupsOf(options);
  checkLengths(groups.flat(), config.maxSeqLen);
  const facts = { ...(await provenance("cases", command)), tf32: options.tf32 === "on" };
  const rounding = facts.tf32 ? Infinity : LOGIT_TOLERANCE; // TF32 rounds by far more; then only the tokens are compared
  let opened: Opened | undefined;
  const measuring: Measuring = {
    options: { ...options, execution: "eager", dtype: "float32" }, // each case has its own
    repeats,
    signal,
    measured: false,
    onStep: onStep ?? (() => {}),
    onOpen: (one) => {
      if (!opened) onOpen?.(one);
      opened ??= one;
    },
  };
  const all: Outcome = { cases: [], pairs: [], failed: [] };
  const resultsNow = (interrupted: boolean): CaseResults | undefined =>
    opened && { ...facts, backends: [opened.backend], model: opened.model, interrupted, ...all };
  for (const specs of groups) {
    if (signal.aborted) break;
    const copies = Math.max(...specs.map(({ execution }) => copiesIn(execution, opened?.backend.device)));
    const memory = predictMemory(config, { ...specs[0]!, useCache: true, copies });
    const bytes = memory.weights + memory.cache + memory.activations;
    const running = await measureGroup(specs, bytes, measuring);
    const outcome = outcomeOf(running, config, rounding, opened?.backend.device);
    all.cases.push(...outcome.cases);
    all.pairs.push(...outcome.pairs);
    all.failed.push(...outcome.failed);
    await onGroup?.(outcome, resultsNow(true)); // written after each group, so that a killed process loses one
  }
  return resultsNow(signal.aborted);
}

/**
 * Measures the cases of a group.
 *
 * On a CPU their processes live at once and alternate, run by run, so that whatever slows the machine down slows all of
 * them. On a GPU, whose memory they would share, and where the host's memory is short, they run one after the other.
 *
 * @param bytes what one of them needs
 * @returns the cases; after Ctrl-C with the runs that were finished
 * @throws InputError for options with which no case can be measured
 */
async function measureGroup(
  specs: readonly CaseSpec[],
  bytes: number,
  measuring: Measuring,
): Promise<readonly RunningCase[]> {
  const { signal } = measuring;
  const cases = specs.map((spec) => new RunningCase(spec, measuring));
  const paired = ({ spec }: RunningCase) => specs.some((other) => !other.useCache && samePair(other, spec));
  const stop = () => cases.forEach((one) => one.end());
  signal.addEventListener("abort", stop, { once: true });
  try {
    let together = cases.length > 1 && cases.length * 2 * bytes <= freemem(); // before the first allocates
    for (const one of cases) {
      signal.throwIfAborted();
      const opened = await one.start();
      if (opened?.backend.device === "cuda") together = false;
      one.interleaved = together;
      if (together) continue;
      while (one.unfinished) await one.measure();
      if (one.spec.useCache && paired(one)) await one.compare();
      one.end();
    }
    while (cases.some((one) => one.unfinished)) {
      for (const one of cases) if (one.unfinished) await one.measure();
    }
    for (const one of cases) if (together && one.spec.useCache && paired(one)) await one.compare();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
  return cases;
}
