import { spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { InputError } from "../../../src/index.js";
import { temporaryDirectory } from "../../../src/util/file-system.js";
import { choice, integer } from "../../cli.js";
import { CONFIGS } from "../../model-options.js";
import { modelConfig } from "../../open-model.js";
import { tryBackend } from "../../setup-tensorflow/try-backend.js";
import { checkWritable, fileName } from "../../write-file.js";
import { type Execution, executionOptions, isBfloat16 } from "../case.js";
import { Printer } from "../printer.js";
import { provenance, readResults, save } from "../results-file.js";
import { type CaseOptions, checkLengths, runCases } from "../run-cases.js";
import { type CaseResults, hostTimeSchema, type ResultsOf } from "../schema.js";
import { batchOption, executionOption, modeOption, several, studyOf, withLengths } from "../study.js";

type Options = Pick<CaseOptions, "batch" | "execution" | "mode"> & {
  readonly json: string;
  readonly config: string;
  readonly device: "cuda" | "cpu";
  readonly input: number;
  readonly output: number;
  readonly repeat: number;
  readonly tf32: readonly ("on" | "off")[];
  readonly hostTime: boolean;
};

const program = withLengths(new Command("npm run bench --"))
  .description(
    "Measures an NVIDIA GPU in one go, without network: for each execution the host time of a decode step and the " +
      "cases of the bench. Writes one JSON file.",
  )
  .option("--json <file>", "where to write", fileName, "gpu.json")
  .addOption(
    choice("--config <name>", "a published model's sizes, with random weights", CONFIGS, "llama-3.2-1b"),
  )
  .addOption(choice("--device <name>", "cpu is for testing this script", ["cuda", "cpu"], "cuda"))
  .addOption(batchOption([1, 8, 16]))
  .option("--repeat <n>", "measured runs of each case", integer(), 3)
  .addOption(executionOption(["eager", "graph", "xla", "xla+bf16"]))
  .addOption(
    several("--tf32 <switches>", "on CUDA; bfloat16 is measured with the last", ["on", "off"], ["on"]),
  )
  .addOption(modeOption())
  .option("--no-host-time", "leave the host time of a decode step out");

/** Measures a GPU: host time and cases. */
export const study = studyOf<Options>("gpu", program, async (options, signal) => {
  const { json, config, device, batch, mode, input, output } = options;
  const model = { checkpoint: "", backend: "tensorflow", device, randomWeights: true, config } as const;
  checkLengths([options], (await modelConfig(model)).maxSeqLen);
  await checkWritable(json);
  // In a process of its own, as everything: this one must not allocate GPU memory.
  const attempt = await tryBackend("tensorflow", signal, device);
  if (!attempt.usable) throw new InputError(attempt.reason);
  const results: ResultsOf<"gpu"> = {
    ...(await provenance("gpu")),
    backends: [{ name: "tensorflow", device: attempt.device, description: attempt.description }],
    model: `${config}, random weights`,
    benches: [],
    hostTime: [],
    failed: [],
  };
  const tf32 = device === "cuda" ? options.tf32 : (["off"] as const);
  for (const [at, setting] of tf32.entries()) {
    const executions = executionsWith(setting, tf32, options.execution);
    if (options.hostTime && mode !== "uncached") {
      for (const execution of executions) {
        for (const size of new Set([1, batch.at(-1)!])) {
          const given = {
            device,
            config,
            tf32: setting,
            ...executionOptions(execution),
            batch: size,
            past: input,
          };
          const measured = await hostTime(given, signal);
          if (measured) results.hostTime.push(measured);
          else results.failed.push(`host time, batch ${size}, TF32 ${setting}, ${execution}`);
          await save(json, results);
        }
      }
    }
    const cases = {
      ...model,
      batch,
      mode,
      tf32: setting,
      execution: executions,
      input: [input],
      output: [output],
    };
    const keep = async (bench: CaseResults) => {
      results.benches[at] = bench;
      await save(json, results);
    };
    const printer = new Printer();
    const bench = await runCases(cases, options.repeat, signal, {
      onOpen: (opened) => printer.title(opened),
      onGroup: async (outcome, soFar) => {
        signal.throwIfAborted(); // a case that Ctrl-C ended is neither measured nor failed
        printer.group(outcome, soFar);
        if (outcome.failed.length > 0 || outcome.pairs.some(({ identical }) => !identical))
          process.exitCode = 1;
        await keep(soFar);
      },
    });
    await keep(bench);
    signal.throwIfAborted(); // between two groups
  }
  if (results.failed.length > 0) process.exitCode = 1;
  console.log(`written to ${json}`);
});

/** The executions to measure with a TF32 setting. With bfloat16 weights TF32 hardly rounds: they have only the last. */
export const executionsWith = (
  setting: "on" | "off",
  tf32: readonly ("on" | "off")[],
  executions: readonly Execution[],
): Execution[] => executions.filter((one) => !isBfloat16(one) || setting === tf32.at(-1));

/** Runs the host-time study in a process of its own; undefined where it failed, which it has explained on stderr. */
async function hostTime(options: object, signal: AbortSignal) {
  signal.throwIfAborted();
  const directory = temporaryDirectory("gpu");
  const file = join(directory, "host-time.json");
  const words = Object.entries({ backend: "tensorflow", ...options, json: file }).flatMap(([name, value]) => [
    `--${name}`,
    `${value}`,
  ]);
  const script = [
    "--import",
    "tsx",
    "scripts/bench.ts",
    "--study",
    "host-time",
    "--random-weights",
    ...words,
  ];
  const cwd = fileURLToPath(new URL("../../..", import.meta.url));
  const child = spawn(process.execPath, script, { cwd, stdio: "inherit" });
  try {
    await new Promise((resolve) => child.on("close", resolve));
    signal.throwIfAborted(); // Ctrl-C has ended the child too
    return existsSync(file) ? readResults(file, hostTimeSchema) : undefined;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
