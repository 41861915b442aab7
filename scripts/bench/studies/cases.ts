import { integer, integers } from "../../cli.js";
import { command, withRandomWeights } from "../../model-options.js";
import { checkWritable, fileName } from "../../write-file.js";
import { Printer } from "../printer.js";
import { save } from "../results-file.js";
import { type CaseOptions, runCases } from "../run-cases.js";
import { batchOption, executionOption, jsonOption, modeOption, studyOf } from "../study.js";

interface Options extends CaseOptions {
  readonly repeat?: number;
  readonly json?: string;
  /** A prefix. */
  readonly plot?: string;
}

const description =
  "Times generation with and without the KV cache, each case in a process of its own. All cases take minutes on " +
  "wasm; --batch 1 is shorter. Other studies: --study.";

const program = withRandomWeights(command("bench", description, [executionOption(["eager"])]))
  .addOption(batchOption([1, 8, 16]))
  .option("--input <lengths>", "tokens of each prompt, comma-separated", integers(), [256])
  .option("--output <lengths>", "tokens generated for each prompt, comma-separated", integers(2), [32])
  .option("--repeat <n>", "measured runs of each case (default: at most 5, in 60 s)", integer())
  .addOption(modeOption())
  .addOption(jsonOption())
  .option("--plot <prefix>", "draw plots to PREFIX-time.svg, …", fileName);

/** Times generation with and without the KV cache. */
export const study = studyOf<Options>("cases", program, async (options, signal) => {
  const { json, plot, repeat } = options;
  for (const file of [json, plot && `${plot}-time.svg`]) if (file) await checkWritable(file);
  const printer = new Printer();
  const results = await runCases(options, repeat, signal, {
    onOpen: (opened) => printer.title(opened),
    onGroup: async (outcome, now) => {
      printer.group(outcome, now);
      if (now.cases.length > 0) await save(json, now);
    },
  });
  const { cases, pairs, failed } = results;
  if (cases.length + failed.length === 0) return signal.throwIfAborted();
  await save(json, results);
  printer.end(results);
  if (json) console.log(`written: ${json}`);
  if (plot && pairs.length > 0) {
    const { writePlots } = await import("../plots/plots.js"); // on demand: its libraries take a second
    console.log(`drawn: ${(await writePlots(results, plot)).join(", ")}`);
  }
  if (failed.length > 0 || pairs.some(({ identical }) => !identical)) process.exitCode = 1;
  signal.throwIfAborted();
});
