import { choice, names, integer, integers } from "../../cli.js";
import { command, withRandomWeights } from "../../model-options.js";
import { modelConfig } from "../../open-model.js";
import { clearStep } from "../../terminal.js";
import { checkWritable, fileName } from "../../write-file.js";
import { EXECUTIONS } from "../case.js";
import { FORMATS, Printer } from "../printer.js";
import { checkInCommon } from "../rerun.js";
import { measuringWords, readResults, save } from "../results-file.js";
import { type CaseOptions, checkLengths, groupsOf, runCases } from "../run-cases.js";
import type { Repeats } from "../running-case.js";
import { casesSchema } from "../schema.js";
import { batchOption, jsonOption, modeOption, studyOf } from "../study.js";
import { Option } from "commander";

interface Given extends Omit<CaseOptions, "input" | "output"> {
  readonly input?: readonly number[];
  readonly output?: readonly number[];
  readonly repeat?: number;
  readonly quick?: true;
  readonly format: (typeof FORMATS)[number];
  readonly json?: string;
  readonly rerun?: string;
  /** A prefix, false for none, undefined for that of the JSON file. */
  readonly plot?: string | false;
}

const description =
  "Times generation with and without the KV cache, each case in a process of its own. All cases take minutes on " +
  "wasm; --quick is shorter. Other studies: --study.";
const executions = new Option(
  "--execution <modes>",
  `execution modes, comma-separated: ${EXECUTIONS.join(", ")}`,
)
  .argParser(names(EXECUTIONS))
  .default(["eager"], "eager");

const program = withRandomWeights(command("bench", description, [executions]))
  .addOption(batchOption([1, 8, 16]))
  .option("--input <lengths>", "tokens of each prompt (default: 256)", integers())
  .option("--output <lengths>", "tokens generated for each prompt (default: 32)", integers(2))
  .option("--repeat <n>", "measured runs of each case (default: at most 5, in 60 s)", integer())
  .option("--quick", "input 64, output 24, and 3 s for the runs of a case")
  .addOption(modeOption())
  .addOption(choice("--format <format>", "output format", FORMATS, "table"))
  .addOption(jsonOption("write all samples and the machine to a file, and draw the plots beside it"))
  .option(
    "--rerun <file>",
    "measure what an earlier --json file did, with its options and any given now, and show how far the medians moved; exit code 1 beyond 5 %",
    fileName,
  )
  .option("--plot <prefix>", "draw the plots to PREFIX-time.svg, …", fileName)
  .option("--no-plot", "draw none");

/** Times generation with and without the KV cache. */
export const study = studyOf<Given>("cases", program, async (given, signal) => {
  const { json, format, plot, rerun } = given;
  const before = rerun === undefined ? undefined : readResults(rerun, casesSchema);
  const words = [...measuringWords(before?.command ?? []), ...measuringWords(process.argv.slice(2))];
  const all = before ? program.parse(words, { from: "user" }).opts<Given>() : given; // the later word counts
  const { quick, repeat, input = [quick ? 64 : 256], output = [quick ? 24 : 32] } = all;
  const options: CaseOptions = { ...all, input, output };
  const repeats: Repeats =
    repeat === undefined ? { runs: 5, seconds: quick ? 3 : 60 } : { runs: repeat, seconds: Infinity };
  const specs = groupsOf(options).flat();
  checkLengths(specs, (await modelConfig(options)).maxSeqLen);
  if (before) checkInCommon(rerun!, before, specs);
  const prefix = plot ?? json?.replace(/\.json$/, "");
  for (const file of [json, prefix && `${prefix}-time.svg`]) if (file) await checkWritable(file);

  const printer = new Printer(format);
  const results = await runCases(options, repeats, words, signal, {
    onOpen: (opened) => printer.title(opened, repeats, options.execution),
    onStep: printer.step,
    onGroup: async (outcome, now) => {
      printer.group(outcome);
      if (now && now.cases.length > 0) await save(json, now);
    },
  }).finally(clearStep);
  if (!results || results.cases.length + results.failed.length === 0) {
    signal.throwIfAborted();
    process.exitCode = 1; // nothing could be loaded; why has been printed
    return;
  }

  await save(json, results);
  const { pairs, failed } = results;
  const draw = prefix && pairs.length > 0;
  // Imported on demand: the plots' libraries take a second.
  const plots = draw ? await (await import("../plots/plots.js")).writePlots(results, prefix) : [];
  printer.end(results, [...(json ? [json] : []), ...plots]);
  const good = before ? printer.rerun(before, results) : true;
  if (!good || failed.length > 0 || pairs.some(({ identical }) => !identical)) process.exitCode = 1;
  signal.throwIfAborted();
});
