import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { Command, Option } from "commander";
import { machineFacts } from "../../machine.js";
import { checkGenerationFits, checkWeightsFit } from "../../../src/cost/memory-check.js";
import { type Backend, BACKENDS } from "../../../src/backend/backend.js";
import { InputError, Llama, loadBackend, type ModelConfig } from "../../../src/index.js";
import type { LlamaWeights } from "../../../src/model/llama.js";
import { randomWeights } from "../../../src/model/random-weights.js";
import { stepCost } from "../../../src/cost/cost.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { spread, type Spread } from "../measure.js";
import { measuringWords } from "../rerun.js";
import { interruptible } from "../../interrupt.js";
import { currentCommit } from "../results.js";
import { main, integer } from "../../cli.js";
import { CONFIGS } from "../../model-options.js";
import { modelConfig } from "../../open-model.js";
import { checkWritable, fileName, writeResults } from "../../write-file.js";

/** What the command writes. Everything took turns in one process. */
export interface Limits {
  readonly date: string;
  readonly command: readonly string[];
  readonly machine: Awaited<ReturnType<typeof machineFacts>>;
  readonly backend: Backend;
  readonly commit: string | null;
  readonly changed: boolean | null;
  readonly model: string;
  readonly batch: number;
  /** Positions of the prompt; the steps come after them. */
  readonly input: number;
  /** Of the weights that a step reads. */
  readonly weightBytes: number;
  /** A whole prompt, and the products of its positions with the weights alone. */
  readonly prefillMs: { readonly whole: Spread; readonly products: Spread };
  /** One step with the cache, its products with the weights alone, and one thread's reading of as many bytes. */
  readonly stepMs: { readonly whole: Spread; readonly products: Spread; readonly reading: Spread };
}

/** What is read at a time, again and again: far more than any cache of a processor lends to one thread. */
const READ_BYTES = 256e6;

interface Options {
  readonly backend: string;
  readonly config: string;
  readonly batch: number;
  readonly input: number;
  readonly rounds: number;
  readonly steps: number;
  readonly json?: string;
}

const program = new Command("npm run limits --")
  .description(
    "How far a prompt is from its products of matrices, and a step from the reading of its weights.",
  )
  .configureHelp({ helpWidth: 80 })
  .addOption(new Option("--backend <name>", "what computes").choices(BACKENDS).default("wasm"))
  .addOption(
    new Option("--config <name>", "a published model's sizes, with random weights")
      .choices(CONFIGS)
      .default("smollm2-135m"),
  )
  .option("--batch <n>", "rows", integer(), 1)
  .option("--input <n>", "positions of the prompt", integer(), 256)
  .option("--rounds <n>", "prompts to time", integer(), 9)
  .option("--steps <n>", "steps to time after each", integer(), 8)
  .option("--json <file>", "write all samples and the machine to a file", fileName);

await main<Options>(program, async ({ backend: name, config: model, json, ...sizes }, signal) => {
  const { batch, input, rounds, steps } = sizes;
  if (json) await checkWritable(json);
  const config = await modelConfig({ randomWeights: true, config: model, checkpoint: "" });
  if (input + steps > config.maxSeqLen)
    throw new InputError(
      `input ${input} and steps ${steps} make ${input + steps} positions, the model's context has room for ${config.maxSeqLen}`,
    );
  const { weightBytes } = stepCost(config, batch, 1, input + 1, true);
  // Written, or the system would have it all be one page; and first, so that the backend finds it taken.
  const memory = Buffer.alloc(Math.min(weightBytes, READ_BYTES), 1);
  const backend = await loadBackend(name);
  checkWeightsFit(config, `the model ${model}`);
  const weights = randomWeights(config);
  const llama = interruptible(new Llama(config, weights));
  const rows = (length: number) => Array.from({ length: batch }, () => Array<number>(length).fill(1));
  const samples = { prefill: [] as number[], prefillProducts: [] as number[], step: [] as number[], stepProducts: [] as number[], reading: [] as number[] }; // prettier-ignore
  const time = async (into: number[], act: () => Tensor2D | undefined) => {
    await yieldToEventLoop(signal);
    const started = performance.now();
    const result = act();
    await result?.data();
    into.push(performance.now() - started);
    result?.dispose();
  };

  const checkFits = () => checkGenerationFits(config, { batch, input, output: steps, useCache: true });
  checkFits(); // then what the products are given, which is less than a prompt's intermediate results, fits too
  const [prompt, position] = [inputsOf(config, batch * input, batch), inputsOf(config, batch, batch)];
  checkFits(); // beside it
  for (let round = 0; round <= rounds; round++) {
    if (round === 1) for (const list of Object.values(samples)) list.length = 0; // the first round warms up
    const cache = llama.createCache(batch, input + steps);
    await time(samples.prefill, () => llama.forward(rows(input), cache));
    await time(samples.prefillProducts, () => products(weights, prompt));
    for (let i = 0; i < steps; i++) {
      await time(samples.step, () => llama.forward(rows(1), cache));
      await time(samples.stepProducts, () => products(weights, position));
      await time(samples.reading, () => readAll(memory, weightBytes));
    }
    cache.dispose();
  }

  const result: Limits = {
    date: new Date().toISOString(),
    command: measuringWords(process.argv.slice(2)),
    machine: await machineFacts(),
    backend,
    ...(await currentCommit()),
    model,
    batch,
    input,
    weightBytes,
    prefillMs: { whole: spread(samples.prefill), products: spread(samples.prefillProducts) },
    stepMs: { whole: spread(samples.step), products: spread(samples.stepProducts), reading: spread(samples.reading) }, // prettier-ignore
  };
  print(result);
  if (json) await writeResults(json, result);
});

/** What the products with the weights are given: matrices as wide as the model, all heads and the feed-forward's inside. */
function inputsOf(
  { hiddenSize: C, nHeads: H, headDim: D, intermediateSize: F }: ModelConfig,
  rows: number,
  last: number,
) {
  const matrix = (columns: number, height = rows): Tensor2D => tf.randomUniform([height, columns], -1, 1, "float32", 1); // prettier-ignore
  return { x: matrix(C), heads: matrix(H * D), inside: matrix(F), last: tf.transpose(matrix(C, last)) as Tensor2D }; // prettier-ignore
}

/** The products with the weights that a call of the model makes, and nothing else of it. */
function products(
  { layers, lmHead }: LlamaWeights,
  { x, heads, inside, last }: ReturnType<typeof inputsOf>,
): Tensor2D {
  for (const { wq, wk, wv, wo, gate, up, down } of layers) {
    for (const weight of [wq, wk, wv, gate, up]) tf.matMul(x, weight).dispose();
    tf.matMul(heads, wo).dispose();
    tf.matMul(inside, down).dispose();
  }
  return tf.matMul(lmHead, last);
}

/**
 * Reads so many bytes, from the start again where there are no more: compared with itself by the C library, the second
 * look at a byte finds it in the cache.
 */
function readAll({ buffer, byteOffset, length }: Buffer, bytes: number): undefined {
  for (let left = bytes; left > 0; left -= length) {
    const [one, same] = [1, 2].map(() => Buffer.from(buffer, byteOffset, Math.min(left, length)));
    if (one!.compare(same!) !== 0) throw new Error("memory differs from itself");
  }
}

function print({ backend, model, batch, input, weightBytes, prefillMs, stepMs }: Limits): void {
  const ms = ({ median, min }: Spread) => `${median.toFixed(1)} ms (${min.toFixed(1)} at best)`;
  const times = (a: Spread, b: Spread) => `${(a.median / b.median).toFixed(2)} times (${(a.min / b.min).toFixed(2)})`; // prettier-ignore
  const gigabytes = (weightBytes / stepMs.reading.median / 1e6).toFixed(1);
  console.log(`${model}, random weights, batch ${batch}, on ${backend.description}
a prompt of ${input}        ${ms(prefillMs.whole)}
  its products alone   ${ms(prefillMs.products)}; the prompt takes ${times(prefillMs.whole, prefillMs.products)} that
a step after it        ${ms(stepMs.whole)}
  its products alone   ${ms(stepMs.products)}; the step takes ${times(stepMs.whole, stepMs.products)} that
  weights read once    ${ms(stepMs.reading)}, ${(weightBytes / 1e6).toFixed(0)} MB at ${gigabytes} GB/s by one thread; the step takes ${times(stepMs.whole, stepMs.reading)} that`);
}
