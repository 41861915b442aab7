import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { InputError } from "../../../src/index.js";
import { temporaryDirectory } from "../../../src/util/file-system.js";
import { lastLine, run } from "../../../src/util/run-command.js";
import { integer } from "../../cli.js";
import { machineFacts } from "../../machine.js";
import { fileName } from "../../write-file.js";
import {
  acrossRounds,
  type BaselineCase,
  type Baselines,
  ratioTable,
  type RoundCase,
} from "../baselines/compare.js";
import { type Conditions, llamaCpp, ours, transformers, writeCheckpoint } from "../baselines/programs.js";
import type { CaseOptions } from "../run-cases.js";
import { batchOption, executionOption, jsonOption, studyOf } from "../study.js";

interface Options extends Pick<CaseOptions, "batch" | "execution"> {
  readonly repeat: number;
  readonly python: string;
}

/** The packages that the baselines import; they were tried with these versions. */
const PYTHON_PACKAGES = "torch==2.15.0 transformers==5.23.0 gguf==0.19.0 xllamacpp==2026.10.11549";
const IMPORTS = "import torch, transformers, gguf, xllamacpp";

const program = new Command("npm run bench --")
  .description(
    "Measure this project, Hugging Face transformers (eager and SDPA attention, use_cache on and off) and llama.cpp " +
      "(only with its cache) in one run: same machine, threads, weights (SmolLM2-135M's sizes) and prompts, " +
      "float32, alternating.",
  )
  .option("--python <path>", `a Python with ${PYTHON_PACKAGES}`, fileName, "python3")
  .addOption(batchOption([1, 8]))
  .option("--repeat <n>", "rounds; each runs every case once", integer(), 3)
  .addOption(executionOption(["eager", "graph"]))
  .addOption(jsonOption());

/** Compares this project with other implementations in one run. */
export const study = studyOf<Options, Baselines>({
  name: "baselines",
  program,
  async measure({ batch: sizes, execution, repeat, python }, signal, save) {
    const { tensorflowImpossible } = await machineFacts();
    if (tensorflowImpossible) {
      throw new InputError(`--study baselines must have the tensorflow backend, but ${tensorflowImpossible}`);
    }
    await checkPython(python, signal);
    const directory = temporaryDirectory("baselines");
    const threads = availableParallelism();
    const conditions: Conditions = { checkpoint: join(directory, "smollm2-135m"), threads, python, signal };
    const ofThreads = { OMP_NUM_THREADS: `${threads}`, MKL_NUM_THREADS: `${threads}` };
    Object.assign(process.env, { ...ofThreads, CUDA_VISIBLE_DEVICES: "-1" });
    const medians: BaselineCase[] = [];
    const versions: Record<string, string> = {};
    let backends: Baselines["backends"];
    const results = () => {
      const model = "smollm2-135m, random weights";
      return { backends: backends!, model, versions, threads, cases: medians };
    };
    try {
      await writeCheckpoint(conditions);
      for (const batch of sizes) {
        const rounds: RoundCase[] = [];
        for (let round = 0; round < repeat; round++) {
          const own = await ours(conditions, batch, execution);
          backends = own.backends;
          rounds.push(...own.cases);
          for (const measure of [transformers, llamaCpp]) {
            const other = await measure(conditions, batch);
            Object.assign(versions, other.versions);
            rounds.push(...other.cases);
          }
          console.log(`batch ${batch}: round ${round + 1} of ${repeat} is done`);
        }
        medians.push(...acrossRounds(rounds));
        await save(results());
      }
      return results();
    } finally {
      await rm(directory, { recursive: true });
    }
  },
  tables: ({ cases }) => [ratioTable(cases)],
});

/** Throws an InputError where a Python cannot be run, or lacks what the baselines need. */
async function checkPython(python: string, signal: AbortSignal): Promise<void> {
  const { ok, end, stderr } = await run(python, ["-c", IMPORTS], process.env, signal);
  if (ok) return;
  const said = lastLine(stderr);
  throw new InputError(
    `--python must be a Python that has ${PYTHON_PACKAGES}, but ${python} ended with ${end}${said && ` ("${said}")`}`,
  );
}
