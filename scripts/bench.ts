import { InputError, predictMemory, ROUNDING } from "../src/index.js";
import type { Cell, FailedCell, Pair } from "./bench/cell.js";
import type { Opened } from "./bench/cell-process.js";
import { measureCells } from "./bench/measure-cells.js";
import { type BenchOptions, groupsOf, program, repeatsOf } from "./bench/options.js";
import { Progress } from "./bench/progress.js";
import { document, outcomeOf } from "./bench/results.js";
import { Printer } from "./bench/printer.js";
import { checkWhole, checkWritable, main, modelConfig, writeResults } from "./cli.js";

await main<BenchOptions>(program, async (options, signal) => {
  const { json, format, repeat, tf32 } = options;
  if (repeat !== undefined) checkWhole("repeat", repeat);
  const config = await modelConfig(options);
  const groups = groupsOf(options);
  for (const { input, output } of groups.flat()) {
    checkWhole("output", output, 2);
    if (input + output <= config.maxSeqLen) continue;
    throw new InputError(
      `input ${input} and output ${output} make ${input + output} positions, ` +
        `the model's context has room for ${config.maxSeqLen}`,
    );
  }
  if (json) await checkWritable(json);

  const repeats = repeatsOf(options);
  const progress = new Progress(groups.flat(), config, repeats);
  const printer = new Printer(format, () => progress.clear());
  let opened: Opened | undefined;
  const observer = {
    opened: (one: Opened) => {
      if (!opened) printer.title(one, repeats);
      opened ??= one;
    },
    step: progress.step.bind(progress),
    planned: progress.planned.bind(progress),
  };
  const rounding = tf32 === "on" ? Infinity : ROUNDING; // TF32 rounds by far more; then only the tokens are compared

  const cells: Cell[] = [];
  const pairs: Pair[] = [];
  const failed: FailedCell[] = [];
  try {
    for (const specs of groups) {
      if (signal.aborted) break;
      const { batch, input, output } = specs[0]!;
      const { weights, cache, activations } = predictMemory(config, batch, input, output, true);
      const measuring = { options, repeats, observer, signal };
      const outcome = await measureCells(specs, weights + cache + activations, measuring, (running) =>
        outcomeOf(running, config, rounding),
      );
      printer.rows(outcome, input, output);
      cells.push(...outcome.cells);
      pairs.push(...outcome.pairs);
      failed.push(...outcome.failed);
    }
  } finally {
    progress.stop();
  }
  if (!opened || cells.length + failed.length === 0) return signal.throwIfAborted(); // nothing was measured

  const results = await document(opened, options, { cells, pairs, failed }, signal.aborted);
  if (json) await writeResults(json, results);
  const prefix = options.plot ?? json?.replace(/\.json$/, "");
  // Imported on demand: the plots' libraries take a second.
  const plots = prefix && pairs.length > 0 ? await (await import("./plots/bench-plots.js")).write(results, prefix) : []; // prettier-ignore
  printer.end(results, [...(json ? [json] : []), ...plots]);
  if (failed.length > 0 || pairs.some(({ identical }) => !identical)) process.exitCode = 1;
  signal.throwIfAborted();
});
