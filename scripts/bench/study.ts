import { type Command, Option } from "commander";
import { choice, integer, integers, names } from "../cli.js";
import { fileName } from "../write-file.js";
import { EXECUTIONS, type Execution } from "./case.js";

/** The studies of `npm run bench`, each in a file of its name. */
export const STUDIES = "cases roofline host-time leaks cache-write gpu baselines report".split(" ");

/** A study: its options, and what it does. */
export interface Study<Options extends object = object> {
  readonly program: Command;
  readonly run: (options: Options, signal: AbortSignal) => Promise<void>;
}

/** Binds a study's run to its program, with the option that selects a study. */
export function studyOf<Options extends object>(
  name: string,
  program: Command,
  run: Study<Options>["run"],
): Study {
  program
    .usage(name === "cases" ? "[options]" : `--study ${name} [options]`)
    .addOption(choice("--study <name>", "what to do", STUDIES, "cases"));
  return { program, run: run as Study["run"] };
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

/** The lengths of a study that has one of each. */
export const withLengths = (program: Command): Command =>
  program
    .option("--input <n>", "tokens of each prompt", integer(), 256)
    .option("--output <n>", "tokens generated for each prompt", integer(2), 32);

/** The option that names the results file. */
export const jsonOption = (description = "write all samples and the machine to a file"): Option =>
  new Option("--json <file>", description).argParser(fileName);
