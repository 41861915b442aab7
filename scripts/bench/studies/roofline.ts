import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { Command } from "commander";
import { BACKENDS } from "../../../src/backend/backend.js";
import { stepCost } from "../../../src/cost/cost.js";
import { checkGenerationFits, checkWeightsFit } from "../../../src/cost/memory-check.js";
import { Llama, loadBackend, type ModelConfig } from "../../../src/index.js";
import type { LlamaWeights } from "../../../src/model/llama.js";
import { randomWeights } from "../../../src/model/random-weights.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { choice, integer } from "../../cli.js";
import { interruptible } from "../../interrupt.js";
import { explainBackend } from "../../machine.js";
import { CONFIGS } from "../../model-options.js";
import { modelConfig } from "../../open-model.js";
import { checkWritable } from "../../write-file.js";
import { spread } from "../measure.js";
import { provenance, save } from "../results-file.js";
import { checkLengths } from "../run-cases.js";
import type { ResultsOf, Spread } from "../schema.js";
import { jsonOption, studyOf } from "../study.js";

interface Options {
  readonly backend: string;
  readonly config: string;
  readonly batch: number;
  readonly input: number;
  readonly rounds: number;
  readonly steps: number;
  readonly json?: string;
}

/** Read again and again: far more than any CPU cache has for one thread. */
const READ_BYTES = 256e6;

const program = new Command("npm run bench --")
  .description("Compares prefill with its matmul time, and decode steps with their weight-read time.")
  .addOption(choice("--backend <name>", "compute backend", BACKENDS, "wasm"))
  .addOption(
    choice("--config <name>", "a published model's sizes, with random weights", CONFIGS, "smollm2-135m"),
  )
  .option("--batch <n>", "batch size", integer(), 1)
  .option("--input <n>", "tokens of each prompt", integer(), 256)
  .option("--rounds <n>", "prefills to time", integer(), 9)
  .option("--steps <n>", "decode steps to time after each", integer(), 8)
  .addOption(jsonOption());

/** A roofline check: measured time against the time of the matmuls alone, and of reading the weights once. */
export const study = studyOf<Options>("roofline", program, async (options, signal) => {
  const { batch, input, rounds, steps, json } = options;
  if (json) await checkWritable(json);
  const facts = await provenance("roofline");
  const config = await modelConfig({ randomWeights: true, config: options.config, checkpoint: "" });
  checkLengths([{ input, output: steps }], config.maxSeqLen);
  const { weightBytes } = stepCost(config, batch, 1, input + 1, true);
  // Filled, or the system would map all of it to one page; and first, so that the backend finds it allocated.
  const memory = Buffer.alloc(Math.min(weightBytes, READ_BYTES), 1);
  const backend = await loadBackend(options.backend).catch(explainBackend);
  checkWeightsFit(config, `the model ${options.config}`);
  const weights = randomWeights(config);
  const llama = interruptible(new Llama(config, weights));
  const ids = (length: number) => Array.from({ length: batch }, () => Array<number>(length).fill(1));
  const checkFits = () => checkGenerationFits(config, { batch, input, output: steps, useCache: true });
  checkFits(); // then the matmuls' inputs fit too: they are smaller than the activations of a prefill
  const [prompt, position] = [matmulInputs(config, batch * input, batch), matmulInputs(config, batch, batch)];
  checkFits(); // next to them

  const times = new Map<string, number[]>();
  const time = async (name: string, act: () => Tensor2D | undefined) => {
    await yieldToEventLoop(signal);
    const started = performance.now();
    const result = act();
    await result?.data();
    times.set(name, [...(times.get(name) ?? []), performance.now() - started]);
    result?.dispose();
  };
  for (let round = 0; round <= rounds; round++) {
    if (round === 1) times.clear(); // the first round warms up
    const cache = llama.createCache(batch, input + steps);
    await time("prefill", () => llama.forward(ids(input), cache));
    await time("prefill matmuls", () => matmuls(weights, prompt));
    for (let i = 0; i < steps; i++) {
      await time("step", () => llama.forward(ids(1), cache));
      await time("step matmuls", () => matmuls(weights, position));
      await time("weight read", () => readAll(memory, weightBytes));
    }
    cache.dispose();
  }

  const of = (name: string) => spread(times.get(name)!);
  const results: ResultsOf<"roofline"> = {
    ...facts,
    backends: [backend],
    model: `${options.config}, random weights`,
    batch,
    input,
    weightBytes,
    prefillMs: { measured: of("prefill"), matmuls: of("prefill matmuls") },
    stepMs: { measured: of("step"), matmuls: of("step matmuls"), weightRead: of("weight read") },
  };
  print(results);
  await save(json, results);
});

/** Inputs of the matmuls with the weights, one per inner width; `last`: the positions that need logits. */
function matmulInputs(config: ModelConfig, positions: number, last: number) {
  const { hiddenSize: C, nHeads: H, headDim: D, intermediateSize: F } = config;
  const matrix = (height: number, width: number): Tensor2D =>
    tf.randomUniform([height, width], -1, 1, "float32", 1);
  const [hidden, heads, intermediate] = [C, H * D, F].map((width) => matrix(positions, width));
  return { hidden: hidden!, heads: heads!, intermediate: intermediate!, last: matrix(C, last) };
}

/** The matmuls with the weights of one forward pass, and nothing else of it. */
function matmuls({ layers, lmHead }: LlamaWeights, inputs: ReturnType<typeof matmulInputs>): Tensor2D {
  for (const { wq, wk, wv, wo, gate, up, down } of layers) {
    for (const weight of [wq, wk, wv, gate, up]) tf.matMul(inputs.hidden, weight).dispose();
    tf.matMul(inputs.heads, wo).dispose();
    tf.matMul(inputs.intermediate, down).dispose();
  }
  return tf.matMul(lmHead, inputs.last);
}

/** Reads so many bytes by comparing the buffer with itself: the second access to a byte finds it in the cache. */
function readAll({ buffer, byteOffset, length }: Buffer, bytes: number): undefined {
  for (let left = bytes; left > 0; left -= length) {
    const [one, same] = [1, 2].map(() => Buffer.from(buffer, byteOffset, Math.min(left, length)));
    if (one!.compare(same!) !== 0) throw new Error("memory differs from itself");
  }
}

function print({
  backends,
  model,
  batch,
  input,
  weightBytes,
  prefillMs,
  stepMs,
}: ResultsOf<"roofline">): void {
  const line = (name: string, { median, min }: Spread, measured?: Spread, note = "") => {
    const [ratio, best] = measured ? [measured.median / median, measured.min / min] : [];
    const relative = ratio ? `; ${ratio.toFixed(2)}x (best: ${best!.toFixed(2)}x)` : "";
    console.log(`${name.padEnd(22)} ${median.toFixed(1)} ms (best: ${min.toFixed(1)} ms)${note}${relative}`);
  };
  const rate = (weightBytes / stepMs.weightRead.median / 1e6).toFixed(1);
  console.log(`${model}, batch ${batch}, on ${backends[0].description}; ratios: measured time to this one`);
  line(`prefill of ${input}`, prefillMs.measured);
  line("  matmuls alone", prefillMs.matmuls, prefillMs.measured);
  line("decode step", stepMs.measured);
  line("  matmuls alone", stepMs.matmuls, stepMs.measured);
  const note = `, ${(weightBytes / 1e6).toFixed(0)} MB at ${rate} GB/s by one thread`;
  line("  weights read once", stepMs.weightRead, stepMs.measured, note);
}
