import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { BACKENDS } from "../../../src/backend/backend.js";
import { InputError } from "../../../src/index.js";
import { temporaryDirectory } from "../../../src/util/file-system.js";
import { choice, integer } from "../../cli.js";
import { checkWritable, fileName } from "../../write-file.js";
import { acrossRounds, ratioTable, type RoundCase } from "../baselines/compare.js";
import { checkPython, ownLlamaCpp, ownPython } from "../baselines/installs.js";
import {
  type Conditions,
  llamaCpp,
  ours,
  type Round,
  transformers,
  writeCheckpoint,
} from "../baselines/programs.js";
import { provenance, save } from "../results-file.js";
import type { CaseOptions } from "../run-cases.js";
import type { BaselineCase } from "../schema.js";
import { batchOption, executionOption, jsonOption, modeOption, studyOf, withLengths } from "../study.js";
import { alignedTable } from "../table.js";

interface Options
  extends Pick<CaseOptions, "backend" | "batch" | "execution" | "mode">, Pick<Round, "input" | "output"> {
  readonly config: string;
  readonly repeat: number;
  readonly uncachedRepeat?: number;
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
  .addOption(executionOption(["eager", "graph"]))
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
  const conditions: Conditions = {
    checkpoint: join(directory, config),
    directory,
    threads,
    signal,
    versions: {},
  };
  Object.assign(process.env, {
    OMP_NUM_THREADS: `${threads}`,
    MKL_NUM_THREADS: `${threads}`,
    CUDA_VISIBLE_DEVICES: "-1",
  });
  try {
    await writeCheckpoint(conditions, config, python);
    const programs = [ours(conditions, options), transformers(conditions, python)];
    if (llama) programs.push(await llamaCpp(conditions, llama, python));

    const cases: BaselineCase[] = [];
    for (const batch of options.batch) {
      const rounds: RoundCase[] = [];
      for (let round = 0; round < repeat; round++) {
        const modes = mode === "both" && round >= uncachedRepeat ? "cached" : mode;
        for (const measure of programs)
          rounds.push(...(await measure({ batch, input, output, mode: modes })));
        console.error(`batch ${batch}: round ${round + 1} of ${repeat} is done`);
      }
      const medians = acrossRounds(rounds);
      cases.push(...medians);
      console.log(`\n${config}, batch ${batch}, ${threads} threads each; medians of the rounds`);
      console.log(`${alignedTable(ratioTable(medians))}\n`);
      const { versions, backends } = conditions;
      const model = `${config}, random weights`;
      await save(json, { ...facts, backends: backends!, model, versions, threads, cases });
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
