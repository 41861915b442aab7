import * as tf from "@tensorflow/tfjs-core";
import { InvalidArgumentError } from "commander";
import { InputError, type Llama, type Probe, steps, type Tokenizer, weightBytes } from "../src/index.js";
import { type CommonOptions, command, main, number, open } from "./cli.js";
import { megabytes } from "./terminal.js";

interface Options extends CommonOptions {
  readonly batch: number[];
  readonly input: number;
  readonly output: number;
}

const program = command(
  "bench",
  "Times generation with and without the KV cache: the source document's table.",
)
  .option("--batch <sizes>", "batch sizes, with commas", sizes, [1, 8, 16])
  .option("--input <n>", "tokens of each prompt", number, 256)
  .option("--output <n>", "tokens generated for each prompt", number, 32);

await main<Options>(program, async ({ batch, input, output, ...options }, signal) => {
  const { engine, model, tokenizer } = await open(options);
  const { maxSeqLen } = model.config;
  if (input + output > maxSeqLen) {
    throw new InputError(
      `input ${input} and output ${output} make ${input + output} positions, the model's context has room for ${maxSeqLen}`,
    );
  }
  console.log(`${engine.description}, float32, Node ${process.version}`);
  console.log(
    `input ${input} tokens, output ${output} tokens; weights ${megabytes(weightBytes(model.config))}\n`,
  );
  console.log(row(["batch", "KV cache", "run time", "tokens/s", "peak of live tensors"]));
  const measure = (batchSize: number, kvCaching: boolean, maxGenLen = output) =>
    generation(model, prompts(tokenizer, batchSize, input), { maxGenLen, kvCaching, signal });
  for (const batchSize of batch) {
    for (const kvCaching of [true, false]) {
      await measure(batchSize, kvCaching, 2); // warm-up: kernels are compiled and memory is taken on first use
      const { seconds, peak } = await measure(batchSize, kvCaching);
      const rate = ((batchSize * output) / seconds).toFixed(2);
      console.log(
        row([
          `${batchSize}`,
          kvCaching ? "with" : "without",
          `${seconds.toFixed(2)} s`,
          rate,
          megabytes(peak),
        ]),
      );
    }
  }
});

/** Runs one cell of the table: greedy, and to the full length, whatever the model says. */
async function generation(
  model: Llama,
  rows: number[][],
  options: { maxGenLen: number; kvCaching: boolean; signal: AbortSignal },
): Promise<{ seconds: number; peak: number }> {
  let peak = 0;
  const probe: Probe = () => (peak = Math.max(peak, tf.memory().numBytes));
  const greedy = { temperature: 0, topP: 1, seed: 0, stopIds: new Set<number>() };
  const started = performance.now();
  for await (const _ of steps(model, rows, { ...greedy, ...options, probe }));
  return { seconds: (performance.now() - started) / 1000, peak };
}

/** The source document's prompt, one sentence over and over, cut to length. */
function prompts(tokenizer: Tokenizer, batchSize: number, length: number): number[][] {
  const ids = tokenizer.encode("Once upon a time in a galaxy far away ".repeat(length)).slice(0, length);
  return Array.from({ length: batchSize }, () => ids);
}

function row(cells: string[]): string {
  const widths = [5, 9, 10, 10, 21];
  return cells.map((cell, i) => cell.padStart(widths[i]!)).join("  ");
}

function sizes(text: string): number[] {
  const values = text.split(",").map(number);
  if (!values.every((value) => Number.isInteger(value) && value > 0)) {
    throw new InvalidArgumentError("Expected whole numbers from 1 up, with commas between.");
  }
  return values;
}
