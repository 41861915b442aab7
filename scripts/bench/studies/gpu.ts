import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { InputError } from "../../../src/index.js";
import { temporaryDirectory } from "../../../src/util/file-system.js";
import { names, integer } from "../../cli.js";
import { CONFIGS } from "../../model-options.js";
import { modelConfig } from "../../open-model.js";
import { tryBackend } from "../../setup-tensorflow/try-backend.js";
import { checkWritable, fileName } from "../../write-file.js";
import { type Execution, executionOptions, EXECUTIONS, isBfloat16 } from "../case.js";
import { Printer } from "../printer.js";
import { provenance, readResults, save } from "../results-file.js";
import { type CaseOptions, checkLengths, runCases } from "../run-cases.js";
import { gpuSchema, type ResultsOf, resultsSchema } from "../schema.js";
import { batchOption, choice, modeOption, studyOf, withLengths } from "../study.js";

type GpuResults = ResultsOf<"gpu">;
type Switch = "on" | "off";

interface Options {
  readonly json: string;
  readonly config: string;
  readonly device: "cuda" | "cpu";
  readonly batch: readonly number[];
  readonly input: number;
  readonly output: number;
  readonly repeat: number;
  readonly execution: readonly Execution[];
  readonly tf32: readonly Switch[];
  readonly mode: CaseOptions["mode"];
  readonly tests: boolean;
  readonly hostTime: boolean;
  readonly append?: true;
}

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** The tests that compute a model or a part of it. */
const TESTS = [
  "goldens",
  "planted-bugs",
  "cost/*",
  "{model,generation,graph}/*",
  "backend/{backend,kv-cache-write,matmul}",
  "checkpoint/load",
];

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
  .addOption(
    new Option("--execution <modes>", "execution modes, comma-separated")
      .argParser(names(EXECUTIONS))
      .default(["eager", "graph", "xla", "xla+bf16"], "eager,graph,xla,xla+bf16"),
  )
  .addOption(
    new Option(
      "--tf32 <switches>",
      "on CUDA: on, off, or off,on; bfloat16 weights are measured with the last",
    )
      .argParser(names(["on", "off"] as const))
      .default(["on"], "on"),
  )
  .addOption(modeOption())
  .option("--append", "add to what the same program measured on the same GPU")
  .option("--no-tests", "leave the test suite out")
  .option("--no-host-time", "leave the host time of a decode step out");

/** Measures a GPU: tests, host time and cases. */
export const study = studyOf<Options>("gpu", program, async (options, signal) => {
  const { json, config, device } = options;
  const model = { checkpoint: "", backend: "tensorflow", device, randomWeights: true, config } as const;
  checkLengths([options], (await modelConfig(model)).maxSeqLen);
  await checkWritable(json);
  // In a process of its own, as everything: this one must not allocate GPU memory.
  const attempt = await tryBackend("tensorflow", signal, device);
  if (!attempt.usable) throw new InputError(attempt.reason);
  const backend = { name: "tensorflow", device: attempt.device, description: attempt.description } as const;
  const facts = {
    ...(await provenance("gpu")),
    backends: [backend] as [typeof backend],
    model: `${config}, random weights`,
  };
  const now: GpuResults = { ...facts, benches: [], hostTime: [], failed: [] };
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
    const code = await node([...mocha, ...TESTS.map((name) => `test/${name}.test.ts`)], signal, env);
    const { stats, failures } = existsSync(report)
      ? JSON.parse(readFileSync(report, "utf8"))
      : { stats: null, failures: `mocha ended with ${code}` };
    results.tests = { stats, failures };
    if (code !== 0) process.exitCode = 1;
    await save(json, results);
  }
  for (const { tf32, executions, hostTime } of plan(options)) {
    for (const { batch, execution } of hostTime) {
      const file = join(directory, `${tf32}-${execution}-${batch}.json`);
      const given = {
        ...model,
        ...executionOptions(execution),
        tf32,
        batch,
        past: options.input,
        json: file,
      };
      const { randomWeights: _, checkpoint: __, ...valued } = given;
      const words = Object.entries(valued).flatMap(([name, value]) => [`--${name}`, `${value}`]);
      await node(
        ["--import", "tsx", "scripts/bench.ts", "--study", "host-time", "--random-weights", ...words],
        signal,
      );
      const measured = existsSync(file) ? readResults(file, resultsSchema) : undefined;
      if (measured?.study === "host-time") results.hostTime.push(measured);
      else results.failed.push(`host time, batch ${batch}, TF32 ${tf32}, ${execution}`);
      await save(json, results);
    }
    const { mode, batch, repeat } = options;
    const cases = {
      ...model,
      batch,
      mode,
      tf32,
      execution: executions,
      input: [options.input],
      output: [options.output],
    };
    const printer = new Printer("table");
    const repeats = { runs: repeat, seconds: Infinity };
    const at = results.benches.length;
    await runCases(cases, repeats, [...facts.command], signal, {
      onOpen: (opened) => printer.title(opened, repeats, executions),
      onGroup: async (outcome, bench) => {
        signal.throwIfAborted(); // a case that Ctrl-C ended is neither measured nor failed
        printer.group(outcome);
        const wrong = outcome.pairs.some(({ identical }) => !identical);
        if (wrong || outcome.failed.length > 0) process.exitCode = 1;
        if (bench) results.benches[at] = bench;
        await save(json, results);
      },
    }).then((bench) => bench && (results.benches[at] = bench));
    await save(json, results);
  }
  if (results.failed.length > 0) process.exitCode = 1;
  console.log(`written to ${json}`);
});

/** What is measured with one TF32 setting. */
interface Sitting {
  readonly tf32: Switch;
  readonly executions: readonly Execution[];
  /** Of the smallest batch there is, and of the last one named. */
  readonly hostTime: readonly { readonly batch: number; readonly execution: Execution }[];
}

/** All measurements, in order. With bfloat16 weights TF32 rounds next to nothing, so these are measured once. */
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
export function earlierResults(file: string, now: GpuResults): GpuResults {
  const earlier = readResults(file, gpuSchema);
  const sourceOf = ({ commit, changed, machine }: GpuResults) =>
    `commit ${commit ?? "unknown"}${changed ? " with changes" : ""} on ${machine.nvidia?.gpus.map(({ name }) => name).join(", ") || "no GPU"}`;
  if (sourceOf(earlier) === sourceOf(now)) return earlier;
  throw new InputError(
    `${file} was measured with ${sourceOf(earlier)}, this is ${sourceOf(now)}; ` +
      "--append adds only to what the same program measured on the same GPU",
  );
}

/**
 * Runs Node, and returns how it ended.
 *
 * @throws the signal's reason after Ctrl-C, which also ends what runs
 */
async function node(
  args: readonly string[],
  signal: AbortSignal,
  env: NodeJS.ProcessEnv = {},
): Promise<number | null> {
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
