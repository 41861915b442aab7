import { type Command, Option } from "commander";
import { names, integer, integers } from "../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../model-options.js";
import { fileName } from "../write-file.js";
import { type CellSpec, type Execution, EXECUTIONS } from "./case.js";
import type { Repeats } from "./running-case.js";

/** What `npm run bench` can be told. */
export interface BenchOptions extends Omit<ModelOptions, "execution" | "dtype"> {
  readonly batch: readonly number[];
  readonly input?: readonly number[];
  readonly output?: readonly number[];
  readonly execution: readonly Execution[];
  readonly mode: "both" | "cached" | "uncached";
  readonly repeat?: number;
  readonly quick?: true;
  readonly format: "table" | "md" | "csv" | "json";
  readonly json?: string;
  /** An earlier bench, to be measured once more and compared. */
  readonly again?: string;
  /** A prefix, false for none, undefined for where the JSON is. */
  readonly plot?: string | false;
}

/** The cells that are named, those that belong together in one list. */
export function groupsOf(options: BenchOptions): CellSpec[][] {
  const { quick, batch, execution, mode } = options;
  const { input = [quick ? 64 : 256], output = [quick ? 24 : 32] } = options;
  const modes = { both: [true, false], cached: [true], uncached: [false] }[mode];
  const groups: CellSpec[][] = [];
  for (const inputLength of input)
    for (const outputLength of output)
      for (const size of batch)
        groups.push(
          execution.flatMap((how) =>
            modes.map((useCache) => ({ useCache, execution: how, batch: size, input: inputLength, output: outputLength })),
          ),
        ); // prettier-ignore
  return groups;
}

/** Five runs, as far as they are done in a minute; the named number of them, whatever it takes; or quickly. */
export function repeatsOf({ repeat, quick }: BenchOptions): Repeats {
  if (repeat !== undefined) return { runs: repeat, seconds: Infinity };
  return { runs: 5, seconds: quick ? 3 : 60 };
}

export const program: Command = withRandomWeights(
  command(
    "bench",
    "Times generation with and without the KV cache, each cell in a process of its own. The whole table takes minutes on wasm; --quick is quick.",
    [
      new Option("--execution <ways>", `how steps are executed, with commas: ${EXECUTIONS.join(", ")}`)
        .argParser(names(EXECUTIONS, EXECUTIONS.join(" or ")))
        .default(["eager"], "eager"),
    ],
  ),
)
  .addOption(
    new Option("--batch <sizes>", "batch sizes, with commas")
      .argParser(integers())
      .default([1, 8, 16], "1,8,16"),
  )
  .option("--input <lengths>", "tokens of each prompt (default: 256)", integers())
  .option("--output <lengths>", "tokens generated for each prompt (default: 32)", integers(2))
  .option("--repeat <n>", "measured runs of each cell (default: 5 at most, in 60 s)", integer())
  .option("--quick", "input 64, output 24, and 3 s for the runs of a cell")
  .addOption(
    new Option("--mode <mode>", "which rows of the table")
      .choices(["both", "cached", "uncached"])
      .default("both"),
  )
  .addOption(
    new Option("--format <format>", "of what is printed").choices(["table", "md", "csv", "json"]).default("table"), // prettier-ignore
  )
  .option(
    "--json <file>",
    "write all samples and the machine to a file, and draw the plots beside it",
    fileName,
  )
  .option(
    "--again <file>",
    "measure what an earlier --json file did, with its options and what others are given, and show how far the medians moved; exit code 1 beyond 5 %",
  )
  .option("--plot <prefix>", "draw the plots to PREFIX-time.svg, …", fileName)
  .option("--no-plot", "draw none");
