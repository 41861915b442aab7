import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { BACKENDS } from "../../../src/backend/backend.js";
import { InputError } from "../../../src/index.js";
import { temporaryDirectory } from "../../../src/util/file-system.js";
import { names, integer } from "../../cli.js";
import { checkWritable, fileName } from "../../write-file.js";
import { acrossRounds, ratioTable, type RoundCase } from "../baselines/compare.js";
import { checkPython, ownLlamaCpp, ownPython } from "../baselines/installs.js";
import { llamaCpp, ours, type Round, transformers, writeCheckpoint } from "../baselines/programs.js";
import { type Execution, EXECUTIONS } from "../case.js";
import { provenance, save } from "../results-file.js";
import type { BaselineCase } from "../schema.js";
import { alignedTable } from "../table.js";
import { batchOption, choice, jsonOption, modeOption, studyOf, withLengths } from "../study.js";

interface Options {
  readonly config: string;
  readonly batch: readonly number[];
  readonly input: number;
  readonly output: number;
  readonly repeat: number;
  readonly mode: Round["mode"];
  readonly uncachedRepeat?: number;
  readonly backend: string;
  readonly execution: readonly Execution[];
  readonly llamaCpp: boolean;
  readonly python?: string;
  readonly json?: string;
}

const program = withLengths(new Command("npm run bench --"))
  .description(
    "Measures this project, Hugging Face transformers (eager and SDPA attention, use_cache on and off) and llama.cpp " +
      "(only with its cache) in one run: same machine, threads, weights and prompts, float32, alternating. Installs " +
      "PyTorch in an environment of its own, 8 GB on Linux, or uses yours; and llama.cpp from npm, 90 MB.",
  )
  .addOption(
    choice("--config <name>", "a published model's sizes", ["smollm2-135m", "llama-3.2-1b"], "smollm2-135m"),
  )
  .addOption(batchOption([1, 8]))
  .option("--repeat <n>", "rounds; each runs every case once", integer(), 3)
  .option(
    "--uncached-repeat <n>",
    "rounds that also run the cases without the cache (default: all)",
    integer(0),
  )
  .addOption(modeOption())
  .addOption(choice("--backend <name>", "our backend", BACKENDS, "tensorflow"))
  .addOption(
    new Option("--execution <modes>", "our execution modes, comma-separated")
      .argParser(names(EXECUTIONS))
      .default(["eager", "graph"], "eager,graph"),
  )
  .option("--no-llama-cpp", "leave llama.cpp out")
  .option("--python <path>", "a Python with torch, transformers and gguf; then none is installed", fileName)
  .addOption(jsonOption("write the results to a file after each batch size"));

/** Compares this project with other implementations in one run. */
export const study = studyOf<Options>("baselines", program, async (options, signal) => {
  const { config, input, output, repeat, mode, uncachedRepeat = repeat, json } = options;
  if (mode !== "both" && options.uncachedRepeat !== undefined) {
    throw new InputError(`--uncached-repeat needs --mode both, got ${mode}`);
  }
  if (json) await checkWritable(json);
  const facts = await provenance("baselines");
  if (options.python !== undefined) await checkPython(options.python, signal);
  const python = options.python ?? (await ownPython(signal));
  const llama = options.llamaCpp && mode !== "uncached" ? await ownLlamaCpp(signal) : undefined;

  const directory = temporaryDirectory("baselines");
  const threads = availableParallelism();
  const conditions = { checkpoint: join(directory, config), directory, threads, signal };
  Object.assign(process.env, {
    OMP_NUM_THREADS: `${threads}`,
    MKL_NUM_THREADS: `${threads}`,
    CUDA_VISIBLE_DEVICES: "-1",
  });
  try {
    await writeCheckpoint(conditions, config, python);
    const project = ours(conditions, options.backend, options.execution);
    const programs = [project, transformers(conditions, python)];
    if (llama) programs.push(await llamaCpp(conditions, llama, python));

    const cases: BaselineCase[] = [];
    for (const batch of options.batch) {
      const rounds: RoundCase[] = [];
      for (let round = 0; round < repeat; round++) {
        const modes = mode === "both" && round >= uncachedRepeat ? "cached" : mode;
        for (const one of programs)
          rounds.push(...(await one.measure({ batch, input, output, mode: modes })));
        console.error(`batch ${batch}: round ${round + 1} of ${repeat} is done`);
      }
      const medians = acrossRounds(rounds);
      cases.push(...medians);
      console.log(
        `\n${config}, batch ${batch}, ${threads} threads each; medians of the rounds\n${alignedTable(ratioTable(medians))}\n`,
      );
      await save(json, {
        ...facts,
        backends: project.backends!,
        model: `${config}, random weights`,
        versions: Object.assign({}, ...programs.map(({ versions }) => versions)) as Record<string, string>,
        threads,
        cases,
      });
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
