import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { machineFacts } from "../src/engine/machine.js";
import { InputError } from "../src/index.js";
import { measuringWords } from "./bench/again.js";
import { type Execution, executionOptions, EXECUTIONS } from "./bench/cell.js";
import { currentCommit } from "./bench/results.js";
import { main, number, writeResults } from "./cli.js";

interface Options {
  readonly out: string;
  readonly config: string;
  readonly device: string;
  readonly input: number;
  readonly output: number;
  readonly batch: string;
  readonly repeat: number;
  readonly tests: boolean;
  readonly profile: boolean;
  readonly execution: string;
  readonly tf32: string;
  readonly mode: string;
  readonly append?: true;
}

const root = fileURLToPath(new URL("..", import.meta.url));

const program = new Command("npm run card --")
  .description(
    "Measures an NVIDIA card in one go, without network: the tests that compute, on CUDA, the bench's six cells with " +
      "TF32 off and on, each in a process of its own, and the operations of a decode step. Writes one JSON file.",
  )
  .configureHelp({ helpWidth: 80 })
  .option("--out <file>", "where to write", "card.json")
  .option("--config <name>", "whose sizes", "llama-3.2-1b")
  .addOption(
    new Option("--device <name>", "cpu tries the script out").choices(["cuda", "cpu"]).default("cuda"),
  )
  .option("--batch <sizes>", "batch sizes, with commas", "1,8,16")
  .option("--input <n>", "tokens of each prompt", number, 256)
  .option("--output <n>", "tokens generated for each prompt", number, 32)
  .option("--repeat <n>", "measured runs of each cell", number, 3)
  .option("--execution <ways>", "how models compute, with commas", EXECUTIONS.join())
  .option("--tf32 <switches>", "on CUDA, with commas", "off,on")
  .addOption(
    new Option("--mode <mode>", "which cells").choices(["both", "cached", "uncached"]).default("both"),
  )
  .option("--append", "add to what is in the file already, measured in the same sitting")
  .option("--no-tests", "leave the test suite out")
  .option("--no-profile", "leave the operations of a decode step out");

await main<Options>(program, async (options, signal) => {
  const { out, config, device, input, output, batch, repeat, tests, execution, tf32, mode } = options;
  const ways = execution.split(",");
  const unknown = ways.find((way) => !(EXECUTIONS as readonly string[]).includes(way));
  if (unknown) throw new InputError(`unknown execution "${unknown}", expected ${EXECUTIONS.join(", ")}`);
  const directory = await mkdtemp(join(tmpdir(), "card-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true })); // also when it is interrupted
  let files = 0;

  /** Runs one of our commands in a process of its own and returns the JSON that it writes; undefined if it failed. */
  async function measure(script: string, args: readonly string[]): Promise<unknown> {
    const file = join(directory, `${files++}.json`);
    const model = ["--engine", "tensorflow", "--device", device, "--random-weights", "--config", config];
    signal.throwIfAborted();
    const code = await node(["--import", "tsx", `scripts/${script}.ts`, ...model, ...args, "--json", file]);
    return code === 0 ? readJson(file) : undefined; // a cell that failed is written down, too
  }

  const before = options.append ? await readJson(out) : undefined;
  const results: Record<string, unknown> = before ?? {
    date: new Date().toISOString(),
    command: [],
    ...(await currentCommit()),
    machine: await machineFacts(),
    bench: [],
    profile: [],
    failed: [],
  };
  (results["command"] as unknown[]).push(measuringWords(process.argv.slice(2)).join(" "));
  const save = () => writeResults(out, results);
  const keep = async (key: "bench" | "profile", what: string, result: unknown) => {
    (results[result ? key : "failed"] as unknown[]).push(result ?? what);
    if (!result) process.exitCode = 1;
    await save(); // after each, so that an interruption loses one
  };

  if (tests) {
    const report = join(directory, "mocha.json");
    const mocha = [
      "node_modules/mocha/bin/mocha.js",
      "--reporter",
      "json",
      "--reporter-option",
      `output=${report}`,
    ];
    const env = { ENGINES: "tensorflow", ...(device === "cpu" && { CUDA_VISIBLE_DEVICES: "-1" }) };
    const onTheEngine = ["goldens", "planted-bugs", "cost", "{model,generation}/*", "engine/{engine,kv-cache-write}", "checkpoint/load"]; // prettier-ignore
    const code = await node([...mocha, ...onTheEngine.map((name) => `test/${name}.test.ts`)], env);
    const { stats, failures } = (await readJson(report)) ?? {
      stats: null,
      failures: `mocha ended with ${code}`,
    };
    results["tests"] = { stats, failures };
    if (code !== 0) process.exitCode = 1;
    await save();
  }
  for (const precision of device === "cuda" ? tf32.split(",") : ["off"]) {
    for (const way of ways) {
      const how = executionOptions(way as Execution);
      const profiled = ["--tf32", precision, ...Object.entries(how).flatMap(([name, value]) => [`--${name}`, value])]; // prettier-ignore
      for (const size of mode === "uncached" || !options.profile
        ? []
        : new Set(["1", batch.split(",").at(-1)!])) {
        const result = await measure("profile", [...profiled, "--batch", size, "--past", `${input}`]);
        await keep("profile", `profile, batch ${size}, TF32 ${precision}, ${way}`, result);
      }
      for (const size of batch.split(",")) {
        for (const which of mode === "both" ? ["cached", "uncached"] : [mode]) {
          const cell = {
            tf32: precision,
            execution: way,
            batch: size,
            mode: which,
            repeat: `${repeat}`,
            input: `${input}`,
            output: `${output}`,
          };
          const result = await measure("bench", Object.entries(cell).flatMap(([name, value]) => [`--${name}`, value])); // prettier-ignore
          await keep("bench", `bench, batch ${size}, ${which}, TF32 ${precision}, ${way}`, result);
        }
      }
    }
  }
  console.log(`written to ${out}`);
});

/** Undefined where the file is not there: what should have written it has failed. */
async function readJson(file: string): Promise<Record<string, unknown> | undefined> {
  return readFile(file, "utf8").then(JSON.parse, () => undefined);
}

function node(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number | null> {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: "inherit",
  });
  return new Promise((resolve) => child.on("close", resolve));
}
