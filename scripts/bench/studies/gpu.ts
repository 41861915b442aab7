import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
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
import type { Opened } from "../running-case.js";
import { type CaseResults, gpuSchema, hostTimeSchema, type ResultsOf } from "../schema.js";
import type { Outcome } from "../summarize.js";
import { batchOption, executionOption, modeOption, several, studyOf, withLengths } from "../study.js";

type Options = Pick<CaseOptions, "batch" | "execution" | "mode"> & {
  readonly json: string;
  readonly config: string;
  readonly device: "cuda" | "cpu";
  readonly input: number;
  readonly output: number;
  readonly repeat: number;
  readonly tf32: readonly ("on" | "off")[];
  readonly tests: boolean;
  readonly hostTime: boolean;
  readonly append?: true;
};

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** The tests that compute a model or a part of it. */
const TESTS =
  "goldens planted-bugs cost/* {model,generation,graph}/* backend/{backend,kv-cache-write,matmul} checkpoint/load";

const program = withLengths(new Command("npm run bench --"))
  .description(
    "Measures an NVIDIA GPU in one go, without network: the tests that compute, on CUDA; for each execution the host " +
      "time of a decode step and the cases of the bench. Writes one JSON file.",
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
  .option("--append", "add to what the same program measured on the same GPU")
  .option("--no-tests", "leave the test suite out")
  .option("--no-host-time", "leave the host time of a decode step out");

/** Measures a GPU: tests, host time and cases. */
export const study = studyOf<Options>("gpu", program, async (options, signal) => {
  const { json, config, device, batch, mode, input, output } = options;
  const model = { checkpoint: "", backend: "tensorflow", device, randomWeights: true, config } as const;
  checkLengths([options], (await modelConfig(model)).maxSeqLen);
  await checkWritable(json);
  // In a process of its own, as everything: this one must not allocate GPU memory.
  const attempt = await tryBackend("tensorflow", signal, device);
  if (!attempt.usable) throw new InputError(attempt.reason);
  const backend = { name: "tensorflow", device: attempt.device, description: attempt.description } as const;
  const now: ResultsOf<"gpu"> = {
    ...(await provenance("gpu")),
    backends: [backend],
    model: `${config}, random weights`,
    benches: [],
    hostTime: [],
    failed: [],
  };
  const results = options.append ? earlierResults(json, now) : now;
  const directory = temporaryDirectory("gpu");
  process.once("exit", () => rmSync(directory, { recursive: true, force: true })); // also when it is interrupted

  if (options.tests) {
    const report = join(directory, "mocha.json");
    const mocha = [
      "node_modules/mocha/bin/mocha.js",
      "--reporter",
      "json",
      "--reporter-option",
      `output=${report}`,
    ];
    const env = { BACKENDS: "tensorflow", ...(device === "cpu" && { CUDA_VISIBLE_DEVICES: "-1" }) };
    const code = await node(
      [...mocha, ...TESTS.split(" ").map((name) => `test/${name}.test.ts`)],
      signal,
      env,
    );
    const { stats, failures } = existsSync(report)
      ? JSON.parse(readFileSync(report, "utf8"))
      : { stats: null, failures: `mocha ended with ${code}` };
    results.tests = { stats, failures };
    if (code !== 0) process.exitCode = 1;
    await save(json, results);
  }
  for (const { tf32, executions, hostTime } of plan(options)) {
    for (const step of hostTime) {
      const file = join(directory, `${tf32}-${step.execution}-${step.batch}.json`);
      const given = {
        backend: "tensorflow",
        device,
        config,
        tf32,
        ...executionOptions(step.execution),
        batch: step.batch,
      };
      const words = Object.entries({ ...given, past: input, json: file }).flatMap(([name, value]) => [
        `--${name}`,
        `${value}`,
      ]);
      await node(
        ["--import", "tsx", "scripts/bench.ts", "--study", "host-time", "--random-weights", ...words],
        signal,
      );
      if (existsSync(file)) results.hostTime.push(readResults(file, hostTimeSchema));
      else results.failed.push(`host time, batch ${step.batch}, TF32 ${tf32}, ${step.execution}`);
      await save(json, results);
    }
    const printer = new Printer("table");
    const repeats = { runs: options.repeat, seconds: Infinity };
    const at = results.benches.length;
    const cases = { ...model, batch, mode, tf32, execution: executions, input: [input], output: [output] };
    const keep = async (bench: CaseResults | undefined) => {
      if (bench) results.benches[at] = bench;
      await save(json, results);
    };
    const onOpen = (opened: Opened) => printer.title(opened, repeats, executions);
    const onGroup = async (outcome: Outcome, bench: CaseResults | undefined) => {
      signal.throwIfAborted(); // a case that Ctrl-C ended is neither measured nor failed
      printer.group(outcome);
      if (outcome.failed.length > 0 || outcome.pairs.some(({ identical }) => !identical))
        process.exitCode = 1;
      await keep(bench);
    };
    await keep(await runCases(cases, repeats, [...now.command], signal, { onOpen, onGroup }));
    signal.throwIfAborted(); // between two groups
  }
  if (results.failed.length > 0) process.exitCode = 1;
  console.log(`written to ${json}`);
});

/** The measurements with one TF32 setting. */
interface Sitting {
  readonly tf32: "on" | "off";
  readonly executions: readonly Execution[];
  /** Of the smallest batch there is, and of the last one named. */
  readonly hostTime: readonly { readonly batch: number; readonly execution: Execution }[];
}

/** All measurements, in order. With bfloat16 weights TF32 hardly rounds, so these are measured once. */
export function plan(
  options: Pick<Options, "batch" | "device" | "execution" | "hostTime" | "mode" | "tf32">,
): Sitting[] {
  const { batch, execution, hostTime, mode } = options;
  const tf32 = options.device === "cuda" ? options.tf32 : (["off"] as const);
  const batches = hostTime && mode !== "uncached" ? [...new Set([1, batch.at(-1)!])] : [];
  return tf32.map((setting) => {
    const executions = execution.filter((one) => !isBfloat16(one) || setting === tf32.at(-1));
    const steps = executions.flatMap((one) => batches.map((size) => ({ batch: size, execution: one })));
    return { tf32: setting, executions, hostTime: steps };
  });
}

/**
 * Reads the results to append to.
 *
 * @throws InputError where the file is none, or where its results are of another program or another GPU
 */
export function earlierResults(file: string, now: ResultsOf<"gpu">): ResultsOf<"gpu"> {
  const earlier = readResults(file, gpuSchema);
  const [was, is] = [earlier, now].map(({ commit, changed, machine }) => {
    const gpus = machine.nvidia?.gpus.map(({ name }) => name).join(", ");
    return `commit ${commit ?? "unknown"}${changed ? " with changes" : ""} on ${gpus || "no GPU"}`;
  });
  if (was === is) return earlier;
  throw new InputError(
    `${file} was measured with ${was}, this is ${is}; --append adds only to what the same program measured on the same GPU`,
  );
}

/** Runs Node and returns its exit code; throws after Ctrl-C, which also ends what runs. */
async function node(args: readonly string[], signal: AbortSignal, env: NodeJS.ProcessEnv = {}) {
  signal.throwIfAborted();
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: "inherit",
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  signal.throwIfAborted();
  return code;
}
