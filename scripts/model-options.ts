import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { DEFAULTS } from "../src/generation/generate.js";
import { type Device, BACKENDS } from "../src/backend/backend.js";
import { PRESETS } from "../src/model/presets.js";
import type { SamplingOptions } from "../src/generation/sampling.js";
import type { WeightType } from "../src/graph/tracer.js";
import { numberOf, whole } from "./cli.js";
import { escapeControl } from "./terminal.js";

/** The model that comes with the repository. */
export const BUNDLED = fileURLToPath(new URL("../fixtures/fairy-tales", import.meta.url));

/** Options that every command has. */
export interface CommonOptions {
  readonly checkpoint: string;
  readonly backend: string;
  readonly device?: Device;
  readonly tf32: "on" | "off";
  readonly execution: Execution;
  readonly dtype: WeightType;
}

/** How a model runs: operation by operation, or each call as one TensorFlow graph, see `GraphLlama`. */
export const EXECUTIONS = ["eager", "graph", "xla"] as const;

/** One of `EXECUTIONS`. */
export type Execution = (typeof EXECUTIONS)[number];

/** Options of the commands that generate text. */
export interface GenerationOptions extends CommonOptions, SamplingOptions {
  readonly prompt?: string[];
  readonly maxGenLen: number;
}

/** The execution options; `bench` has its own, for several executions at once. */
const executionOptions = () => [
  new Option("--execution <mode>", "tensorflow: eager, graph mode, or graph mode compiled by XLA")
    .choices(EXECUTIONS)
    .default("eager"),
  new Option("--dtype <type>", "graph mode: dtype of the weights; everything else is float32")
    .choices(["float32", "bfloat16"])
    .default("float32"),
];

/** A command with the common options; `npm run NAME -- --help` lists them. */
export function command(name: string, description: string, execution = executionOptions()): Command {
  const program = new Command(name === "start" ? "npm start --" : `npm run ${name} --`)
    .description(description)
    .helpOption("-h, --help", "show this help")
    .configureHelp({ helpWidth: 80 })
    .configureOutput({ outputError: (text, write) => write(escapeControl(text)) }) // bench --again has its words from a file
    .addOption(
      new Option("--checkpoint <dir>", "a Hugging Face model directory").default(
        BUNDLED,
        "the bundled model",
      ),
    )
    .addOption(
      new Option("--backend <name>", "compute backend (auto: tensorflow if installed, else wasm)")
        .choices(["auto", ...BACKENDS])
        .default("auto"),
    )
    .addOption(new Option("--device <name>", "required device; fail if unavailable").choices(["cpu", "cuda"]))
    .addOption(
      new Option("--tf32 <switch>", "on CUDA: faster products of matrices with 10 bits of fraction")
        .choices(["on", "off"])
        .default("off"),
    );
  return execution.reduce((sum, option) => sum.addOption(option), program);
}

/** A command with the common options and those of generation. */
export function generationCommand(
  name: string,
  description: string,
  defaults: Partial<GenerationOptions> = {},
): Command {
  const values = { ...DEFAULTS, ...defaults };
  const program = command(name, description)
    .option("--prompt <text>", "what to continue; give it several times for a batch", collect)
    .option("--max-gen-len <n>", "tokens to generate for each prompt, at most", whole(), values.maxGenLen);
  return withSampling(program, values);
}

/** Adds the options that say how a token is chosen. What is refused here, `checkSampling` refuses in its own names. */
export function withSampling(program: Command, values: SamplingOptions): Command {
  const temperature = numberOf("a number from 0 up", (t) => t >= 0 && t < Infinity);
  const topP = numberOf("a number above 0 and at most 1", (p) => p > 0 && p <= 1);
  return program
    .option("--temperature <t>", "0 always takes the best token", temperature, values.temperature)
    .option("--top-p <p>", "sample from the likeliest tokens up to this probability", topP, values.topP)
    .option("--seed <n>", "the same seed, the same tokens", whole(0, Number.MAX_SAFE_INTEGER), values.seed);
}

/** Options of the commands that measure: they need a model, but none that makes sense. */
export interface ModelOptions extends CommonOptions {
  readonly randomWeights?: boolean;
  readonly config?: string;
}

/** Models whose sizes are known. */
export const CONFIGS: readonly string[] = [...Object.keys(PRESETS), "bundled"];

/** Adds the options that take random weights in place of a checkpoint. */
export function withRandomWeights(program: Command): Command {
  return program
    .option("--random-weights", "weights made on the device, for the configuration of --config")
    .addOption(new Option("--config <name>", "a published model's sizes").choices(CONFIGS));
}

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];
