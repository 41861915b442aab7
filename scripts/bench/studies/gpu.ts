import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { machineFacts } from "../../machine.js";
import { tryBackend } from "../../setup-tensorflow/try-backend.js";
import { temporaryDirectory } from "../../../src/util/file-system.js";
import type { Device } from "../../../src/backend/backend.js";
import { InputError } from "../../../src/index.js";
import { measuringWords } from "../rerun.js";
import { type Execution, EXECUTIONS, type FailedCell } from "../case.js";
import { checkLengths } from "../lengths.js";
import { currentCommit } from "../results.js";
import { type CardFile, earlierCard, readIfThere } from "../gpu/file.js";
import { plan, type Planned, type Wanted } from "../gpu/plan.js";
import { main, integer, integers } from "../../cli.js";
import { CONFIGS } from "../../model-options.js";
import { modelConfig } from "../../open-model.js";
import { checkWritable, fileName, writeResults } from "../../write-file.js";

interface Options {
  readonly out: string;
  readonly config: string;
  readonly device: Device;
  readonly input: number;
  readonly output: number;
  readonly batch: readonly number[];
  readonly repeat: number;
  readonly tests: boolean;
  readonly profile: boolean;
  readonly execution: string;
  readonly tf32: string;
  readonly mode: Wanted["mode"];
  readonly append?: true;
}

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Those tests that compute a model or a part of it. */
const TESTS = ["goldens", "planted-bugs", "cost", "{model,generation,recorded}/*", "backend/{backend,kv-cache-write,products}", "checkpoint/load"]; // prettier-ignore

const program = new Command("npm run card --")
  .description(
    "Measures an NVIDIA card in one go, without network: the tests that compute, on CUDA; for each execution the bench's six " +
      "cells, each in a process of its own, and the operations of a decode step. Writes one JSON file.",
  )
  .configureHelp({ helpWidth: 80 })
  .option("--out <file>", "where to write", fileName, "card.json")
  .addOption(new Option("--config <name>", "whose sizes").choices(CONFIGS).default("llama-3.2-1b"))
  .addOption(
    new Option("--device <name>", "cpu tries the script out").choices(["cuda", "cpu"]).default("cuda"),
  )
  .addOption(
    new Option("--batch <sizes>", "batch sizes, with commas")
      .argParser(integers())
      .default([1, 8, 16], "1,8,16"),
  )
  .option("--input <n>", "tokens of each prompt", integer(), 256)
  .option("--output <n>", "tokens generated for each prompt", integer(2), 32)
  .option("--repeat <n>", "measured runs of each cell", integer(), 3)
  .option("--execution <ways>", "how models compute, with commas", "eager,graph,xla,xla+bf16")
  .option(
    "--tf32 <switches>",
    "on CUDA: on, off, or off,on; bfloat16 weights are measured with the last",
    "on",
  )
  .addOption(
    new Option("--mode <mode>", "which cells").choices(["both", "cached", "uncached"]).default("both"),
  )
  .option("--append", "add to what the same program has measured on the same card")
  .option("--no-tests", "leave the test suite out")
  .option("--no-profile", "leave the operations of a decode step out");

await main<Options>(program, async (options, signal) => {
  const { out, config, device } = options;
  const wanted = wantedOf(options);
  const { maxSeqLen } = await modelConfig({ randomWeights: true, config, checkpoint: "" });
  checkLengths([options], maxSeqLen);
  await checkWritable(out);
  await checkDevice(device, signal);
  const now: CardFile = {
    date: new Date().toISOString(),
    command: [],
    ...(await currentCommit()),
    machine: await machineFacts(),
    bench: [],
    profile: [],
    failed: [],
  };
  const results = options.append ? await earlierCard(out, now) : now;
  results.command.push(measuringWords(process.argv.slice(2)).join(" "));
  const directory = temporaryDirectory("card");
  process.once("exit", () => rmSync(directory, { recursive: true, force: true })); // also when it is interrupted

  if (options.tests) {
    const report = join(directory, "mocha.json");
    const mocha = ["node_modules/mocha/bin/mocha.js", "--reporter", "json", "--reporter-option", `output=${report}`]; // prettier-ignore
    const env = { BACKENDS: "tensorflow", ...(device === "cpu" && { CUDA_VISIBLE_DEVICES: "-1" }) };
    const code = await node([...mocha, ...TESTS.map((name) => `test/${name}.test.ts`)], signal, env);
    const { stats, failures } = (await readIfThere(report)) ?? {
      stats: null,
      failures: `mocha ended with ${code}`,
    };
    results.tests = { stats, failures };
    if (code !== 0) process.exitCode = 1;
    await writeResults(out, results);
  }
  for (const [i, planned] of plan(wanted).entries()) {
    await measure(planned, join(directory, `${i}.json`));
    await writeResults(out, results); // after each, so that an interruption loses one
  }
  console.log(`written to ${out}`);

  /** Runs one of our commands in a process of its own; one that fails may have written why. */
  async function measure({ script, what, args }: Planned, file: string): Promise<void> {
    const model = ["--backend", "tensorflow", "--device", device, "--random-weights", "--config", config];
    const code = await node(["--import", "tsx", `scripts/${script}.ts`, ...model, ...args, "--json", file], signal); // prettier-ignore
    const result = await readIfThere(file);
    if (result) results[script].push(result);
    if (result && code === 0) return;
    const [failed] = (result?.["failed"] as readonly FailedCell[] | undefined) ?? [];
    results.failed.push(failed ? `${what}: ${failed.reason}` : what);
    process.exitCode = 1;
  }
});

function wantedOf({ execution, tf32, batch, device, ...rest }: Options): Wanted {
  const executions = execution.split(",");
  const unknown = executions.find((way) => !(EXECUTIONS as readonly string[]).includes(way));
  if (unknown !== undefined)
    throw new InputError(`unknown execution "${unknown}", expected ${EXECUTIONS.join(", ")}`);
  const switches = device === "cuda" ? tf32.split(",") : ["off"];
  const neither = switches.find((word) => word !== "on" && word !== "off");
  if (neither !== undefined) throw new InputError(`--tf32 names "${neither}", expected on, off or off,on`);
  return { ...rest, executions: executions as Execution[], tf32: switches, batch: batch.map(String) };
}

/** In a process of its own, as the measurements: this one must not take a part of the card's memory. */
async function checkDevice(device: Device, signal: AbortSignal): Promise<void> {
  const attempt = await tryBackend("tensorflow", signal, device);
  if (!attempt.usable) throw new InputError(attempt.reason);
}

/**
 * Runs Node, and returns how it ended.
 *
 * @throws the signal's reason where it was aborted: Ctrl-C ends what runs too, which then says nothing of the card
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
