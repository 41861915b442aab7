import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { Command } from "commander";
import { BACKENDS } from "../../../src/backend/backend.js";
import { stepCost } from "../../../src/cost/cost.js";
import { checkGenerationFits, checkWeightsFit } from "../../../src/cost/memory-check.js";
import { Llama, loadBackend } from "../../../src/index.js";
import type { LlamaWeights } from "../../../src/model/llama.js";
import { randomWeights } from "../../../src/model/random-weights.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { choice, integer } from "../../cli.js";
import { interruptible } from "../../interrupt.js";
import { explainBackend } from "../../machine.js";
import { CONFIGS } from "../../model-options.js";
import { modelConfig } from "../../open-model.js";
import { spread } from "../measure.js";
import type { Results, Spread } from "../results.js";
import { jsonOption, printTitle, studyOf } from "../study.js";
import { type Table, tableOf } from "../table.js";

interface Options {
  readonly backend: string;
  readonly config: string;
  readonly rounds: number;
}

/** Measured times, and those of the matmuls alone and of reading the weights once. */
export interface Roofline extends Results<"roofline"> {
  readonly input: number;
  /** Of the weights that a step reads. */
  readonly weightBytes: number;
  readonly prefillMs: Readonly<Record<"measured" | "matmuls", Spread>>;
  readonly stepMs: Readonly<Record<"measured" | "matmuls" | "weightRead", Spread>>;
}

/** Tokens of the prompt, and decode steps after each prefill. */
const [INPUT, STEPS] = [256, 8];

/** Read again and again: far more than any CPU cache has for one thread. */
const READ_BYTES = 256e6;

const program = new Command("npm run bench --")
  .description("Compare prefill with its matmul time, and decode steps with their weight-read time.")
  .addOption(choice("--backend <name>", "compute backend", BACKENDS, "wasm"))
  .addOption(
    choice("--config <name>", "a published model's sizes, with random weights", CONFIGS, "smollm2-135m"),
  )
  .option("--rounds <n>", `prefills to time, each with ${STEPS} decode steps`, integer(), 9)
  .addOption(jsonOption());

/** A roofline check: measured time against the time of the matmuls alone, and of reading the weights once. */
export const study = studyOf<Options, Roofline>({
  name: "roofline",
  program,
  async measure({ rounds, ...options }, signal) {
    const config = await modelConfig({ randomWeights: true, config: options.config, checkpoint: "" });
    const { weightBytes } = stepCost(config, 1, 1, INPUT + 1, true);
    // Filled, or the system would map all of it to one page; and first, so that the backend finds it allocated.
    const memory = Buffer.alloc(Math.min(weightBytes, READ_BYTES), 1);
    const backend = await loadBackend(options.backend).catch(explainBackend);
    const model = `${options.config}, random weights`;
    printTitle(model, backend);
    checkWeightsFit(config, `the model ${options.config}`);
    const weights = randomWeights(config);
    const llama = interruptible(new Llama(config, weights));
    checkGenerationFits(config, { batch: 1, input: INPUT, output: STEPS, useCache: true });
    const ids = (length: number) => [Array<number>(length).fill(1)];
    const last = uniform(config.hiddenSize, 1);
    const [prompt, position] = [INPUT, 1].map((rows) => {
      const { hiddenSize: C, nHeads: H, headDim: D, intermediateSize: F } = config;
      return new Map([C, H * D, F].map((width) => [width, uniform(rows, width)]));
    });

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
      const cache = llama.createCache(1, INPUT + STEPS);
      await time("prefill", () => llama.forward(ids(INPUT), cache));
      await time("prefill matmuls", () => runMatmuls(weights, prompt!, last));
      for (let i = 0; i < STEPS; i++) {
        await time("step", () => llama.forward(ids(1), cache));
        await time("step matmuls", () => runMatmuls(weights, position!, last));
        await time("weight read", () => readAll(memory, weightBytes));
      }
      cache.dispose();
    }
    const of = (name: string) => spread(times.get(name)!);
    const prefillMs = { measured: of("prefill"), matmuls: of("prefill matmuls") };
    const stepMs = { measured: of("step"), matmuls: of("step matmuls"), weightRead: of("weight read") };
    return { backends: [backend], model, input: INPUT, weightBytes, prefillMs, stepMs };
  },
  tables: (results) => [rooflineTable(results)],
});

/** Measured times, and those of the matmuls and of reading the weights. */
export function rooflineTable({ input, prefillMs, stepMs }: Roofline): Table {
  const rows = [
    { phase: `prefill of ${input}`, ...prefillMs, weightRead: undefined },
    { phase: "decode step", ...stepMs },
  ];
  const ratio = (a: Spread, b: Spread | undefined) => (b ? (a.median / b.median).toFixed(2) : "");
  return tableOf(rows, {
    "": ({ phase }) => phase,
    "measured ms": ({ measured }) => measured.median.toFixed(1),
    "matmuls ms": ({ matmuls }) => matmuls.median.toFixed(1),
    "measured/matmuls": ({ measured, matmuls }) => ratio(measured, matmuls),
    "weight read ms": ({ weightRead }) => weightRead?.median.toFixed(1) ?? "",
    "measured/weight read": ({ measured, weightRead }) => ratio(measured, weightRead),
  });
}

const uniform = (height: number, width: number): Tensor2D =>
  tf.randomUniform([height, width], -1, 1, "float32", 1);

/**
 * The matmuls with the weights of one forward pass, and nothing else of it.
 *
 * @param inputs one for each input width of a weight, [positions, width]
 * @param last   the positions that need logits, [C, B]
 */
function runMatmuls(
  { layers, lmHead }: LlamaWeights,
  inputs: ReadonlyMap<number, Tensor2D>,
  last: Tensor2D,
): Tensor2D {
  for (const { wq, wk, wv, wo, gate, up, down } of layers) {
    for (const weight of [wq, wk, wv, wo, gate, up, down]) {
      tf.matMul(inputs.get(weight.shape[0])!, weight).dispose();
    }
  }
  return tf.matMul(lmHead, last);
}

/** Reads `bytes` bytes by comparing the buffer with itself: the second access to a byte finds it in the cache. */
function readAll({ buffer, byteOffset, length }: Buffer, bytes: number): undefined {
  for (let left = bytes; left > 0; left -= length) {
    const [one, same] = [1, 2].map(() => Buffer.from(buffer, byteOffset, Math.min(left, length)));
    if (one!.compare(same!) !== 0) throw new Error("memory differs from itself");
  }
}
