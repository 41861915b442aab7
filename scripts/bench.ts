import { InvalidArgumentError, Option } from "commander";
import { machineFacts } from "../src/engine/machine.js";
import { run } from "../src/engine/setup/command.js";
import { InputError, type Model, predictMemory } from "../src/index.js";
import { measureGeneration, spread, type Spread } from "../src/measure.js";
import {
  checkWhole,
  checkWritable,
  command,
  type Execution,
  main,
  type ModelOptions,
  number,
  openModel,
  withRandomWeights,
  writeResults,
} from "./cli.js";
import { megabytes } from "./terminal.js";

interface Options extends ModelOptions {
  readonly batch: number[];
  readonly input: number;
  readonly output: number;
  readonly repeat: number;
  readonly mode: "both" | "cached" | "uncached";
  readonly json?: string;
}

/** One row of the table; sizes in bytes. */
interface Cell {
  readonly kvCaching: boolean;
  readonly execution: Execution;
  readonly batch: number;
  readonly input: number;
  readonly output: number;
  readonly seconds: Spread;
  readonly firstTokenMs: Spread;
  /** Of the steps after the first. */
  readonly stepMs: Spread;
  readonly tokensPerSecond: number;
  readonly memory: {
    readonly predicted: number;
    readonly liveTensorPeak: number;
    /** The largest that this process has been so far, and what is taken of the card; null without one. */
    readonly process: number;
    readonly device: number | null;
  };
  /** Whether the other mode chose the same tokens; null where it was not run. */
  identical: boolean | null;
}

const program = withRandomWeights(
  command(
    "bench",
    "Times generation with and without the KV cache. The whole table takes minutes on wasm; --batch 1 is quick.",
  ),
)
  .option("--batch <sizes>", "batch sizes, with commas", sizes, [1, 8, 16])
  .option("--input <n>", "tokens of each prompt", number, 256)
  .option("--output <n>", "tokens generated for each prompt", number, 32)
  .option("--repeat <n>", "measured runs of each cell; the median is shown", number, 1)
  .addOption(
    new Option("--mode <mode>", "which rows of the table")
      .choices(["both", "cached", "uncached"])
      .default("both"),
  )
  .option("--json <file>", "write all samples and the machine to a file");

await main<Options>(program, async ({ batch, input, output, repeat, mode, json, ...options }, signal) => {
  checkWhole("input", input);
  checkWhole("output", output, 2);
  checkWhole("repeat", repeat);
  const { engine, model, name } = await openModel(options);
  const { config } = model;
  if (input + output > config.maxSeqLen) {
    throw new InputError(
      `input ${input} and output ${output} make ${input + output} positions, ` +
        `the model's context has room for ${config.maxSeqLen}`,
    );
  }

  if (json) await checkWritable(json);
  console.log(`${name}, float32, ${options.execution}, on ${engine.description}; Node ${process.version}`);
  console.log(`input ${input} tokens, output ${output} tokens; median of ${repeat} after a warm-up\n`);
  console.log(row(["batch", "KV cache", "time", "tokens/s", "first ms", "step ms", "tensors", "predicted", "process", "card"])); // prettier-ignore
  const cells: Cell[] = [];
  const modes = { both: [true, false], cached: [true], uncached: [false] }[mode];
  for (const batchSize of batch) {
    const pair: { cell: Cell; tokens: string }[] = [];
    for (const kvCaching of modes) {
      const measured = await measureCell(model, batchSize, kvCaching);
      pair.push(measured);
      console.log(row(columnsOf(measured.cell)));
    }
    const [one, other] = pair;
    const identical = one && other ? one.tokens === other.tokens : null;
    cells.push(...pair.map(({ cell }) => Object.assign(cell, { identical })));
    if (identical !== null) console.log(`       tokens ${identical ? "identical" : "DIFFERENT"}`);
    if (identical === false) process.exitCode = 1;
  }
  if (json) {
    const machine = await machineFacts();
    const results = { date: new Date().toISOString(), command: process.argv.slice(2), machine, engine, model: name, dtype: "float32", commit: await commit(), cells }; // prettier-ignore
    await writeResults(json, results);
  }

  async function measureCell(llama: Model, batchSize: number, kvCaching: boolean) {
    const prompt = Array.from({ length: input }, (_, i) => (7919 * i + 1) % config.vocabSize);
    const prompts = Array.from({ length: batchSize }, () => prompt);
    const generation = (maxGenLen: number) =>
      measureGeneration(llama, prompts, { maxGenLen, kvCaching, signal });
    await generation(Math.min(3, output)); // kernels are compiled and memory is taken on first use
    const runs = [];
    for (let i = 0; i < repeat; i++) runs.push(await generation(output));
    const { weights, cache, activations } = predictMemory(config, batchSize, input, output, kvCaching);
    const seconds = spread(runs.map((one) => one.seconds));
    const cell: Cell = {
      kvCaching,
      execution: options.execution,
      batch: batchSize,
      input,
      output,
      seconds,
      firstTokenMs: spread(runs.map(({ stepMs }) => stepMs[0]!)),
      stepMs: spread(runs.flatMap(({ stepMs }) => stepMs.slice(1))),
      tokensPerSecond: (batchSize * output) / seconds.median,
      memory: {
        predicted: weights + cache + activations,
        liveTensorPeak: runs[0]!.liveTensorPeak,
        process: process.resourceUsage().maxRSS * 1024,
        device: engine.device === "cuda" ? await cardMemory() : null,
      },
      identical: null,
    };
    return { cell, tokens: JSON.stringify(runs[0]!.tokens) };
  }
});

function columnsOf({
  batch,
  kvCaching,
  seconds,
  tokensPerSecond,
  firstTokenMs,
  stepMs,
  memory,
}: Cell): string[] {
  return [
    `${batch}`,
    kvCaching ? "with" : "without",
    `${seconds.median.toFixed(2)} s`,
    tokensPerSecond.toFixed(2),
    firstTokenMs.median.toFixed(0),
    stepMs.median.toFixed(1),
    megabytes(memory.liveTensorPeak),
    megabytes(memory.predicted),
    megabytes(memory.process),
    memory.device === null ? "-" : megabytes(memory.device),
  ];
}

function row(cells: readonly string[]): string {
  const widths = [5, 8, 9, 9, 8, 7, 10, 10, 10, 10];
  return cells.map((cell, i) => cell.padStart(widths[i]!)).join(" ");
}

/** Bytes taken of the first card, by whoever; TensorFlow gives nothing back, so afterwards is as good as at the peak. */
async function cardMemory(): Promise<number | null> {
  const query = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"];
  const { ok, stdout } = await run("nvidia-smi", query);
  return ok ? Number.parseInt(stdout, 10) * 2 ** 20 : null;
}

async function commit(): Promise<string | null> {
  const { ok, stdout } = await run("git", ["rev-parse", "HEAD"]);
  return ok ? stdout.trim() : null;
}

function sizes(text: string): number[] {
  const values = text.split(",").map(number);
  if (!values.every((value) => Number.isInteger(value) && value > 0)) {
    throw new InvalidArgumentError("Expected whole numbers from 1 up, with commas between.");
  }
  return values;
}
