import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { BACKENDS } from "../../../src/backend/backend.js";
import { InputError } from "../../../src/index.js";
import { temporaryDirectory } from "../../../src/util/file-system.js";
import { lastLine, run } from "../../../src/util/run-command.js";
import { choice, integer } from "../../cli.js";
import { checkWritable, fileName } from "../../write-file.js";
import { acrossRounds, ratioTable, type RoundCase } from "../baselines/compare.js";
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
  readonly python: string;
  readonly json?: string;
}

/** The packages that the baselines import; they were tried with these versions. */
const PYTHON_PACKAGES = "torch==2.15.0 transformers==5.23.0 gguf==0.19.0 xllamacpp==2026.10.11549";
const IMPORTS = "import torch, transformers, gguf, xllamacpp";

const program = withLengths(new Command("npm run bench --"))
  .description(
    "Measures this project, Hugging Face transformers (eager and SDPA attention, use_cache on and off) and llama.cpp " +
      "(only with its cache) in one run: same machine, threads, weights and prompts, float32, alternating.",
  )
  .option("--python <path>", `a Python with ${PYTHON_PACKAGES}`, fileName, "python3")
  .addOption(
    choice("--config <name>", "a published model's sizes", ["smollm2-135m", "llama-3.2-1b"], "smollm2-135m"),
  )
  .addOption(batchOption([1, 8]))
  .option("--repeat <n>", "rounds; each runs every case once", integer(), 3)
  .addOption(modeOption())
  .addOption(choice("--backend <name>", "our backend", BACKENDS, "tensorflow"))
  .addOption(executionOption(["eager", "graph"]))
  .addOption(jsonOption("write the results to a file after each batch size"));

/** Compares this project with other implementations in one run. */
export const study = studyOf<Options>("baselines", program, async (options, signal) => {
  const { config, input, output, repeat, mode, python, json } = options;
  if (json) await checkWritable(json);
  const facts = await provenance("baselines");
  await checkPython(python, signal);

  const directory = temporaryDirectory("baselines");
  const threads = availableParallelism();
  const checkpoint = join(directory, config);
  const conditions: Conditions = { checkpoint, directory, threads, python, signal, versions: {} };
  Object.assign(process.env, {
    OMP_NUM_THREADS: `${threads}`,
    MKL_NUM_THREADS: `${threads}`,
    CUDA_VISIBLE_DEVICES: "-1",
  });
  try {
    await writeCheckpoint(conditions, config);
    const programs = [ours(conditions, options), transformers(conditions), llamaCpp(conditions)];
    const cases: BaselineCase[] = [];
    for (const batch of options.batch) {
      const rounds: RoundCase[] = [];
      for (let round = 0; round < repeat; round++) {
        for (const measure of programs) rounds.push(...(await measure({ batch, input, output, mode })));
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

/** Throws an InputError where a Python cannot be run, or lacks what the baselines need. */
async function checkPython(python: string, signal: AbortSignal): Promise<void> {
  const { ok, end, stderr } = await run(python, ["-c", IMPORTS], process.env, signal);
  if (ok) return;
  const said = lastLine(stderr);
  throw new InputError(
    `--python ${python} ended with ${end}${said && ` ("${said}")`}: name one that has ${PYTHON_PACKAGES}`,
  );
}
