import { predictMemory } from "../src/index.js";
import { LOGIT_TOLERANCE } from "../src/generation/compare.js";
import { checkInCommon, earlierBench, measuringWords } from "./bench/rerun.js";
import {
  copiesIn,
  type BenchResults,
  type Cell,
  type CellSpec,
  type FailedCell,
  type Pair,
} from "./bench/case.js";
import type { Opened } from "./bench/case-process.js";
import { checkLengths } from "./bench/lengths.js";
import { measureCells } from "./bench/measure-cases.js";
import { type BenchOptions, groupsOf, program, repeatsOf } from "./bench/options.js";
import { Progress } from "./bench/progress.js";
import { circumstances, outcomeOf } from "./bench/results.js";
import { Printer } from "./bench/printer.js";
import { main } from "./cli.js";
import { modelConfig } from "./open-model.js";
import { checkWritable, writeResults } from "./write-file.js";

await main<BenchOptions>(program, async (given, signal) => {
  const before = given.again === undefined ? undefined : earlierBench(given.again);
  const command = [...measuringWords(before?.command ?? []), ...measuringWords(process.argv.slice(2))];
  const { json, format, plot } = given;
  const options = before ? program.parse(command, { from: "user" }).opts<BenchOptions>() : given; // the later word counts
  const { tf32 } = options;
  const config = await modelConfig(options);
  const groups = groupsOf(options);
  checkLengths(groups.flat(), config.maxSeqLen);
  if (before) checkInCommon(given.again!, before, groups.flat());
  const prefix = plot ?? json?.replace(/\.json$/, "");
  for (const file of [json, prefix && `${prefix}-time.svg`]) if (file) await checkWritable(file);

  const repeats = repeatsOf(options);
  const progress = new Progress(groups.flat(), config, repeats);
  const printer = new Printer(format, () => progress.clear());
  let opened: Opened | undefined;
  let measured = false;
  const observer = {
    opened: (one: Opened) => {
      if (!opened) printer.title(one, repeats, options.execution);
      opened ??= one;
    },
    step: progress.step.bind(progress),
    planned: (spec: CellSpec, runs: number) => {
      measured ||= runs > 0;
      progress.planned(spec, runs);
    },
  };
  const rounding = tf32 === "on" ? Infinity : LOGIT_TOLERANCE; // TF32 rounds by far more; then only the tokens are compared

  const [cells, pairs, failed]: [Cell[], Pair[], FailedCell[]] = [[], [], []];
  const facts = await circumstances(command, options);
  const resultsNow = (interrupted: boolean): BenchResults => ({ ...facts, ...opened!, interrupted, cells, pairs, failed }); // prettier-ignore
  try {
    for (const specs of groups) {
      if (signal.aborted) break;
      const { input, output } = specs[0]!;
      const copies = Math.max(...specs.map(({ execution }) => copiesIn(execution, opened?.backend.device)));
      const { weights, cache, activations } = predictMemory(config, {
        ...specs[0]!,
        useCache: true,
        copies,
      });
      const measuring = { options, repeats, observer, signal, measured: () => measured };
      const outcome = await measureCells(specs, weights + cache + activations, measuring, (running) =>
        outcomeOf(running, config, rounding, opened?.backend.device),
      );
      printer.rows(outcome, input, output);
      cells.push(...outcome.cells);
      pairs.push(...outcome.pairs);
      failed.push(...outcome.failed);
      // After each, so that what ends this process, whatever it is, takes no measured cell along.
      if (json && opened && cells.length > 0) await writeResults(json, resultsNow(true));
    }
  } finally {
    progress.stop();
  }
  if (!opened || cells.length + failed.length === 0) return signal.throwIfAborted(); // nothing was measured

  const results = resultsNow(signal.aborted);
  if (json) await writeResults(json, results);
  // Imported on demand: the plots' libraries take a second.
  const plots = prefix && pairs.length > 0 ? await (await import("./bench/plots/bench-plots.js")).write(results, prefix) : []; // prettier-ignore
  printer.end(results, [...(json ? [json] : []), ...plots]);
  const good = before ? printer.again(before, results) : true;
  if (!good || failed.length > 0 || pairs.some(({ identical }) => !identical)) process.exitCode = 1;
  signal.throwIfAborted();
});
