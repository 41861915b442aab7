import { Option } from "commander";
import { integer, integers } from "../../cli.js";
import { command, withRandomWeights } from "../../model-options.js";
import { checkWritable, fileName } from "../../write-file.js";
import { savingsTable, timeTable } from "../case-tables.js";
import type { CaseResults } from "../results.js";
import { type CaseOptions, runCases } from "../run-cases.js";
import { batchOption, executionOption, jsonOption, modeOption, studyOf } from "../study.js";

interface Options extends CaseOptions {
  /** A prefix. */
  readonly plot?: string;
}

const description =
  "Time generation with and without the KV cache, each case in a process of its own. All cases take minutes on " +
  "wasm; --batch 1 is shorter. --study selects another study.";

const program = withRandomWeights(command("bench", description, [executionOption(["eager"])]))
  .addOption(batchOption([1, 8, 16]))
  .addOption(
    new Option("--input <lengths>", "tokens of each prompt, comma-separated")
      .argParser(integers())
      .default([256], "256"),
  )
  .addOption(
    new Option("--output <lengths>", "tokens generated for each prompt, comma-separated")
      .argParser(integers(2))
      .default([32], "32"),
  )
  .option("--repeat <n>", "measured runs of each case", integer(), 3)
  .addOption(modeOption())
  .addOption(jsonOption())
  .option("--plot <prefix>", "draw plots to PREFIX-time.svg, …", fileName);

/** Times generation with and without the KV cache. */
export const study = studyOf<Options, CaseResults>({
  name: "cases",
  program,
  async measure({ plot, ...options }, signal, save) {
    if (plot) await checkWritable(`${plot}-time.svg`);
    const results = await runCases(options, signal, save);
    if (results.cases.length + results.failed.length === 0) signal.throwIfAborted();
    if (plot && results.pairs.length > 0) {
      const { writePlots } = await import("../plots/plots.js"); // on demand: its libraries take a second
      console.log(`saved ${(await writePlots(results, plot)).join(", ")}`);
    }
    return results;
  },
  tables: (results) => [timeTable(results), savingsTable(results)],
  verdict: ({ pairs, failed }) => {
    const same = pairs.filter(({ identical }) => identical).length;
    const compared = pairs.flatMap(({ maxLogitDifference }) => maxLogitDifference ?? []);
    const largest = compared.length > 0 ? `, ${Math.max(...compared).toPrecision(2)} apart at most` : "";
    const text =
      `tokens ${same === pairs.length ? "identical" : "DIFFERENT"}: ${same} of ${pairs.length} pairs; ` +
      `logits compared in ${compared.length}${largest}`;
    return { good: same === pairs.length && failed.length === 0, text: pairs.length > 0 ? text : "" };
  },
});
