import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { Command } from "commander";
import { BACKENDS } from "../../../src/backend/backend.js";
import { stepCost } from "../../../src/cost/cost.js";
import { checkGenerationFits, checkWeightsFit } from "../../../src/cost/memory-check.js";
import { InputError, Llama, loadBackend, type ModelConfig } from "../../../src/index.js";
import type { LlamaWeights } from "../../../src/model/llama.js";
import { randomWeights } from "../../../src/model/random-weights.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { integer } from "../../cli.js";
import { interruptible } from "../../interrupt.js";
import { CONFIGS } from "../../model-options.js";
import { modelConfig } from "../../open-model.js";
import { checkWritable } from "../../write-file.js";
import { spread } from "../measure.js";
import { provenance, save } from "../results-file.js";
import type { ResultsOf, Spread } from "../schema.js";
import { choice, jsonOption, studyOf } from "../study.js";

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
export const study = studyOf<Options>(
  "roofline",
  program,
  async ({ backend: name, json, ...options }, signal) => {
    const { batch, input, rounds, steps } = options;
    if (json) await checkWritable(json);
    const facts = await provenance("roofline");
    const config = await modelConfig({ randomWeights: true, config: options.config, checkpoint: "" });
    if (input + steps > config.maxSeqLen) {
      throw new InputError(
        `input ${input} and steps ${steps} make ${input + steps} positions, the model's context has ${config.maxSeqLen}`,
      );
    }
    const { weightBytes } = stepCost(config, batch, 1, input + 1, true);
    // Filled, or the system would map all of it to one page; and first, so that the backend finds it allocated.
    const memory = Buffer.alloc(Math.min(weightBytes, READ_BYTES), 1);
    const backend = await loadBackend(name);
    checkWeightsFit(config, `the model ${options.config}`);
    const weights = randomWeights(config);
    const llama = interruptible(new Llama(config, weights));
    const ids = (length: number) => Array.from({ length: batch }, () => Array<number>(length).fill(1));
    const list = (): number[] => [];
    const samples = {
      prefill: list(),
      prefillMatmuls: list(),
      step: list(),
      stepMatmuls: list(),
      weightRead: list(),
    };
    const time = async (into: number[], act: () => Tensor2D | undefined) => {
      await yieldToEventLoop(signal);
      const started = performance.now();
      const result = act();
      await result?.data();
      into.push(performance.now() - started);
      result?.dispose();
    };

    const checkFits = () => checkGenerationFits(config, { batch, input, output: steps, useCache: true });
    checkFits(); // then the matmuls' inputs fit too: they are smaller than the activations of a prefill
    const [prompt, position] = [
      matmulInputs(config, batch * input, batch),
      matmulInputs(config, batch, batch),
    ];
    checkFits(); // next to them
    for (let round = 0; round <= rounds; round++) {
      if (round === 1) for (const times of Object.values(samples)) times.length = 0; // the first round warms up
      const cache = llama.createCache(batch, input + steps);
      await time(samples.prefill, () => llama.forward(ids(input), cache));
      await time(samples.prefillMatmuls, () => matmuls(weights, prompt));
      for (let i = 0; i < steps; i++) {
        await time(samples.step, () => llama.forward(ids(1), cache));
        await time(samples.stepMatmuls, () => matmuls(weights, position));
        await time(samples.weightRead, () => readAll(memory, weightBytes));
      }
      cache.dispose();
    }

    const results: ResultsOf<"roofline"> = {
      ...facts,
      backends: [backend],
      model: `${options.config}, random weights`,
      batch,
      input,
      weightBytes,
      prefillMs: { measured: spread(samples.prefill), matmuls: spread(samples.prefillMatmuls) },
      stepMs: {
        measured: spread(samples.step),
        matmuls: spread(samples.stepMatmuls),
        weightRead: spread(samples.weightRead),
      },
    };
    print(results);
    await save(json, results);
  },
);

/** Inputs of the matmuls with the weights, one per inner width; `last`: the positions that need logits. */
function matmulInputs(
  { hiddenSize: C, nHeads: H, headDim: D, intermediateSize: F }: ModelConfig,
  positions: number,
  last: number,
) {
  const matrix = (width: number, height = positions): Tensor2D =>
    tf.randomUniform([height, width], -1, 1, "float32", 1);
  return {
    hidden: matrix(C),
    heads: matrix(H * D),
    intermediate: matrix(F),
    last: tf.transpose(matrix(C, last)) as Tensor2D,
  };
}

/** The matmuls with the weights of one forward pass, and nothing else of it. */
function matmuls(weights: LlamaWeights, inputs: ReturnType<typeof matmulInputs>): Tensor2D {
  for (const { wq, wk, wv, wo, gate, up, down } of weights.layers) {
    for (const weight of [wq, wk, wv, gate, up]) tf.matMul(inputs.hidden, weight).dispose();
    tf.matMul(inputs.heads, wo).dispose();
    tf.matMul(inputs.intermediate, down).dispose();
  }
  return tf.matMul(weights.lmHead, inputs.last);
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
  const line = (name: string, { median, min }: Spread, of?: Spread, note = "") => {
    const ratio = of ? `; ${(of.median / median).toFixed(2)}x (best: ${(of.min / min).toFixed(2)}x)` : "";
    return `${name.padEnd(22)} ${median.toFixed(1)} ms (best: ${min.toFixed(1)} ms)${note}${ratio}`;
  };
  const rate = `, ${(weightBytes / 1e6).toFixed(0)} MB at ${(weightBytes / stepMs.weightRead.median / 1e6).toFixed(1)} GB/s by one thread`;
  console.log(
    [
      `${model}, batch ${batch}, on ${backends[0].description}; ratios: measured time to this one`,
      line(`prefill of ${input}`, prefillMs.measured),
      line("  matmuls alone", prefillMs.matmuls, prefillMs.measured),
      line("decode step", stepMs.measured),
      line("  matmuls alone", stepMs.matmuls, stepMs.measured),
      line("  weights read once", stepMs.weightRead, stepMs.measured, rate),
    ].join("\n"),
  );
}
