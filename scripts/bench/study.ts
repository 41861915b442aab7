import { type Command, Option } from "commander";
import type { Backend } from "../../src/backend/backend.js";
import { choice, integers, names } from "../cli.js";
import { verdict as coloured } from "../terminal.js";
import { checkWritable, fileName, writeResults } from "../write-file.js";
import { EXECUTIONS, type Execution } from "./case.js";
import { headerOf } from "./results-file.js";
import type { Measured, Results } from "./results.js";
import { alignedTable, type Table } from "./table.js";

/** The studies of `npm run bench`, each in a file of its name. */
export const STUDIES =
  "cases roofline host-time leaks cache-write caches continuous speculative sinks restore execution gpu baselines onnxruntime-web report".split(
    " ",
  );

/** A study as a command: its options, and what it does. */
export interface Study<Options extends object = object> {
  readonly program: Command;
  readonly run: (options: Options, signal: AbortSignal) => Promise<void>;
}

/** A study that measures something. */
interface Definition<Options, R extends Results> {
  readonly name: R["study"];
  readonly program: Command;
  /** Measures; `save` writes what there is so far, so that a process that is killed does not lose all of it. */
  measure(
    options: Options,
    signal: AbortSignal,
    save: (measured: Measured<R>) => Promise<void>,
  ): Promise<Measured<R>>;
  /** The tables to print. */
  tables(results: R): Table[];
  /** A last line. Exit code 1 unless it is good. */
  verdict?(results: R): { readonly good: boolean; readonly text: string };
}

/** A study that measures, prints its tables and its verdict, and writes its results where `--json` names a file. */
export function studyOf<Options extends object, R extends Results>(study: Definition<Options, R>): Study {
  const { name, program, measure, tables, verdict } = study;
  const run = async (
    options: Options & { readonly json?: string; readonly tf32?: "on" | "off" },
    signal: AbortSignal,
  ) => {
    const { json, tf32 } = options;
    if (json) await checkWritable(json);
    const header = await headerOf(name, tf32 === "on");
    const complete = (measured: Measured<R>) => ({ ...header, ...measured }) as unknown as R;
    const save = async (measured: Measured<R>) => {
      if (json) await writeResults(json, complete(measured));
    };
    const measured = await measure(options, signal, save);
    await save(measured);
    const results = complete(measured);
    for (const table of tables(results)) if (table.rows.length > 0) console.log(`\n${alignedTable(table)}`);
    const { good, text } = verdict?.(results) ?? { good: true, text: "" };
    if (text) console.log(`\n${coloured(good, text)}`);
    if (!good) process.exitCode = 1;
    if (json) console.log(`saved ${json}`);
    signal.throwIfAborted(); // after Ctrl-C, what was measured is kept
  };
  return { program: withStudyOption(name, program), run: run as Study["run"] };
}

/** Adds the option that selects a study. */
export const withStudyOption = (name: string, program: Command): Command =>
  program
    .usage(name === "cases" ? "[options]" : `--study ${name} [options]`)
    .addOption(choice("--study <name>", "study to run", STUDIES, "cases"));

/** Prints what is about to be measured: a model, or nothing but a backend. */
export function printTitle(model: string | null, { description }: Backend): void {
  console.log(`${model === null ? "" : `${model}, on `}${description}; Node ${process.version}`);
}

/** An option that takes several of some words. */
export const several = (
  flags: string,
  description: string,
  words: readonly string[],
  preset: string[],
): Option =>
  new Option(flags, `${description}, comma-separated`).argParser(names(words)).default(preset, `${preset}`);

/** The option for the execution modes to measure. */
export const executionOption = (preset: Execution[]): Option =>
  several("--execution <modes>", `execution modes (${EXECUTIONS.join(", ")})`, EXECUTIONS, preset);

/** The option for the batch sizes to measure. */
export const batchOption = (preset: number[]): Option =>
  new Option("--batch <sizes>", "batch sizes, comma-separated")
    .argParser(integers())
    .default(preset, `${preset}`);

/** The option for the mode: with the cache, without, or both. */
export const modeOption = (): Option =>
  choice("--mode <mode>", "which modes to measure", ["both", "cached", "uncached"], "both");

/** The option that names the results file. */
export const jsonOption = (): Option =>
  new Option("--json <file>", "write all samples and the machine to a file").argParser(fileName);
