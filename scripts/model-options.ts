import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { DEFAULTS } from "../src/generation/generate.js";
import type { Checkpoint } from "../src/checkpoint/read-checkpoint.js";
import { BACKENDS, type Device, DEVICES } from "../src/backend/backend.js";
import { PRESETS } from "../src/model/presets.js";
import type { SamplingOptions } from "../src/generation/sampling.js";
import type { WeightType } from "../src/graph/tracer.js";
import { choice, integer, numberOf } from "./cli.js";
import { type Execution, EXECUTIONS } from "./execution.js";

/** Directory of the bundled model. */
export const BUNDLED = fileURLToPath(new URL("../fixtures/fairy-tales", import.meta.url));

/** The prompt of the commands that tell a tale, unless --prompt names another. */
export const PROMPT: readonly string[] = ["Once upon a time"];

/** Options of every command that loads a model. */
export interface CommonOptions {
  readonly checkpoint: string;
  readonly backend: string;
  readonly device?: Device;
  readonly tf32: "on" | "off";
  readonly execution: Execution | "auto";
  readonly dtype: WeightType;
}

/** Options of the commands that generate text. */
export interface GenerationOptions extends CommonOptions, SamplingOptions {
  readonly prompt?: string[];
  readonly maxGenLen: number;
}

/** The execution options; `bench` names what it measures, and has some studies for several executions at once. */
const executionOptions = (modes: readonly string[]) => [
  choice(
    "--execution <mode>",
    "tensorflow: eager, graph mode, or graph mode compiled by XLA; auto: whichever pays",
    modes,
    modes[0]!,
  ),
  choice(
    "--dtype <type>",
    "graph mode: dtype of the weights; everything else is float32",
    ["float32", "bfloat16"],
    "float32",
  ),
];

/** A command with the common options; `npm run NAME -- --help` lists them. */
export function command(
  name: string,
  description: string,
  execution = executionOptions(name === "bench" ? EXECUTIONS : ["auto", ...EXECUTIONS]),
): Command {
  const program = new Command(name === "start" ? "npm start --" : `npm run ${name} --`).description(
    description,
  );
  const tf32 = "on a GPU: round matmul inputs to TensorFloat-32 (faster, less exact)";
  const auto = "compute backend (auto: tensorflow if installed, else wasm)";
  const options = [
    new Option("--checkpoint <dir>", "model directory in Hugging Face's layout").default(
      BUNDLED,
      "the bundled model",
    ),
    choice("--backend <name>", auto, ["auto", ...BACKENDS], "auto"),
    choice("--device <name>", "required device; fail if unavailable", DEVICES),
    choice("--tf32 <switch>", tf32, ["on", "off"], "off"),
  ];
  return [...options, ...execution].reduce((sum, option) => sum.addOption(option), program);
}

/** A command with the common options and those of generation. */
export function generationCommand(
  name: string,
  description: string,
  defaults: Partial<GenerationOptions> = {},
): Command {
  const values = { ...DEFAULTS, ...defaults };
  const program = command(name, description)
    .option("--prompt <text>", "text to continue; repeat the option for a batch", collect)
    .option("--max-gen-len <n>", "maximum tokens to generate per prompt", integer(), values.maxGenLen);
  return withSampling(program, values);
}

/** The options, with the checkpoint's own sampling options where the command line names none. */
export function withDefaultsOf<O extends SamplingOptions>(
  sampling: Checkpoint["sampling"],
  program: Command,
  options: O,
): O {
  const given = (name: string) => program.getOptionValueSource(name) === "cli";
  return { ...options, ...Object.fromEntries(Object.entries(sampling).filter(([name]) => !given(name))) };
}

/** Help on the sampling options of the commands that use the checkpoint's own. */
export const OWN_SAMPLING = `
Sampling options that are not given are those of the checkpoint's
generation_config.json, if it has any.`;

/** Adds the sampling options. `checkSampling` applies the same rules. */
export function withSampling(program: Command, values: SamplingOptions): Command {
  const temperature = numberOf("a number >= 0", (t) => t >= 0 && t < Infinity);
  const topP = numberOf("a number > 0 and <= 1", (p) => p > 0 && p <= 1);
  return program
    .option("--temperature <t>", "sampling temperature; 0 is greedy", temperature, values.temperature)
    .option("--top-p <p>", "nucleus sampling threshold", topP, values.topP)
    .option("--top-k <n>", "sample from the n most likely tokens only", integer())
    .option("--seed <n>", "random seed", integer(0, Number.MAX_SAFE_INTEGER), values.seed);
}

/** Options of the commands that measure: a checkpoint, or random weights. */
export interface ModelOptions extends CommonOptions {
  /** Never auto: what is measured has a name. */
  readonly execution: Execution;
  readonly randomWeights?: boolean;
  readonly config?: string;
}

/** Names that --config accepts. */
export const CONFIGS: readonly string[] = [...Object.keys(PRESETS), "bundled"];

/** Adds the options for random weights instead of a checkpoint. */
export function withRandomWeights(program: Command): Command {
  return program
    .option("--random-weights", "random weights for the model of --config")
    .addOption(choice("--config <name>", "configuration of a published model", CONFIGS));
}

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];
