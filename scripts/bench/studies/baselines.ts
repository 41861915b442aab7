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
import {
  compiled,
  type Conditions,
  llamaCpp,
  type Mode,
  onnxruntime,
  ours,
  transformers,
  writeCheckpoint,
} from "../baselines/programs.js";
import type { CaseOptions } from "../run-cases.js";
import { batchOption, executionOption, jsonOption, modeOption, several, studyOf } from "../study.js";

interface Options extends Pick<CaseOptions, "batch" | "execution"> {
  readonly mode: Mode;
  readonly programs: readonly ProgramName[];
  readonly repeat: number;
  readonly python: string;
}

const PYTORCH = { packages: "torch==2.15.0 transformers==5.23.0", modules: "torch, transformers" };

/** The other programs: how each is measured, and the packages that it imports, with versions that it was tried with. */
const PROGRAMS = {
  transformers: { measure: transformers, cachedOnly: false, ...PYTORCH },
  compiled: { measure: compiled, cachedOnly: true, ...PYTORCH },
  "llama.cpp": {
    measure: llamaCpp,
    cachedOnly: true,
    packages: "gguf==0.19.0 xllamacpp==2026.10.11549",
    modules: "gguf, xllamacpp",
  },
  onnxruntime: {
    measure: onnxruntime,
    cachedOnly: true,
    packages: `onnxruntime-genai==0.18.0 onnxruntime==1.32.0 onnx-ir==1.1.0 tiktoken==0.14.0 ${PYTORCH.packages}`,
    modules: "onnxruntime_genai, onnx_ir, tiktoken, torch, transformers",
  },
} as const;
type ProgramName = keyof typeof PROGRAMS;
const NAMES = Object.keys(PROGRAMS) as ProgramName[];

const packagesOf = (programs: readonly { readonly packages: string }[]): string =>
  [...new Set(programs.flatMap(({ packages }) => packages.split(" ")))].join(" ");

const program = new Command("npm run bench --")
  .description(
    "Measure this project, Hugging Face transformers (eager and SDPA attention, use_cache on and off), compiled PyTorch " +
      "(a static cache and torch.compile, in the way of gpt-fast and with transformers; needs g++), llama.cpp and " +
      "onnxruntime, these three only with their cache, in one run: same machine, threads, weights (SmolLM2-135M's " +
      "sizes) and prompts, float32, alternating.",
  )
  .option("--python <path>", `a Python with ${packagesOf(Object.values(PROGRAMS))}`, fileName, "python3")
  .addOption(several("--programs <names>", `other programs (${NAMES.join(", ")})`, NAMES, NAMES))
  .addOption(modeOption())
  .addOption(batchOption([1, 8]))
  .option("--repeat <n>", "rounds; each runs every case once", integer(), 3)
  .addOption(executionOption(["eager", "graph"]))
  .addOption(jsonOption());

/** Compares this project with other implementations in one run. */
export const study = studyOf<Options, Baselines>({
  name: "baselines",
  program,
  async measure({ batch: sizes, execution, mode, programs, repeat, python }, signal, save) {
    const { tensorflowImpossible } = await machineFacts();
    if (tensorflowImpossible) {
      throw new InputError(`--study baselines must have the tensorflow backend, but ${tensorflowImpossible}`);
    }
    const others = programs.map((name) => PROGRAMS[name]);
    if (others.length > 0) await checkPython(python, others, signal);
    const directory = temporaryDirectory("baselines");
    const threads = availableParallelism();
    const checkpoint = join(directory, "smollm2-135m");
    const conditions: Conditions = { checkpoint, threads, mode, python, signal };
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
          for (const { measure, cachedOnly } of others) {
            if (cachedOnly && mode === "uncached") continue;
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

/** Throws an InputError where a Python cannot be run, or lacks what programs need. */
async function checkPython(
  python: string,
  programs: readonly { readonly packages: string; readonly modules: string }[],
  signal: AbortSignal,
): Promise<void> {
  const imports = programs.map(({ modules }) => `import ${modules}`).join("; ");
  const { ok, end, stderr } = await run(python, ["-c", imports], process.env, signal);
  if (ok) return;
  const said = lastLine(stderr);
  throw new InputError(
    `--python must be a Python that has ${packagesOf(programs)}, but ${python} ended with ${end}${said && ` ("${said}")`}`,
  );
}
