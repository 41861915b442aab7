import { rename, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import pc from "picocolors";
import type { LoadOptions } from "../src/checkpoint/load.js";
import { checkWeightsFit } from "../src/engine/memory.js";
import {
  type Checkpoint,
  DEFAULTS,
  type Device,
  type Engine,
  ENGINES,
  InputError,
  Llama,
  loadCheckpoint,
  loadConfig,
  loadEngine,
  type Model,
  type ModelConfig,
  PRESETS,
  randomWeights,
  RecordedLlama,
  type WeightType,
} from "../src/index.js";
import { weightCopies } from "../src/predicted-memory.js";
import { interruptible, listen, signal as interrupt } from "./interrupt.js";
import { harmless } from "./terminal.js";

/** The model that comes with the repository. */
export const BUNDLED = fileURLToPath(new URL("../fixtures/fairy-tales", import.meta.url));

/** Options that every command has. */
export interface CommonOptions {
  readonly checkpoint: string;
  readonly engine: string;
  readonly device?: Device;
  readonly tf32: "on" | "off";
  readonly execution: Execution;
  readonly xla: "on" | "off";
  readonly dtype: WeightType;
}

/** How a model computes: operation by operation, or a step in one call, see `RecordedLlama`. */
export type Execution = "eager" | "recorded";

/** Options of the commands that generate text. */
export interface GenerationOptions extends CommonOptions {
  readonly prompt?: string[];
  readonly maxGenLen: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

/** How `command` is told the way of executing; `bench` has an option of its own for several ways. */
const wayOfExecuting = () => [
  new Option("--execution <way>", "tensorflow: operation by operation, or a step in one call")
    .choices(["eager", "recorded"])
    .default("eager"),
  new Option(
    "--xla <switch>",
    "recorded: have TensorFlow's compiler make one program of a step; it takes its time first",
  )
    .choices(["on", "off"])
    .default("off"),
  new Option("--dtype <type>", "recorded: how weights are kept; everything else is float32")
    .choices(["float32", "bfloat16"])
    .default("float32"),
];

/** A command with the common options; `npm run NAME -- --help` lists them. */
export function command(name: string, description: string, execution = wayOfExecuting()): Command {
  const program = new Command(name === "start" ? "npm start --" : `npm run ${name} --`)
    .description(description)
    .helpOption("-h, --help", "show this help")
    .configureHelp({ helpWidth: 80 })
    .addOption(
      new Option("--checkpoint <dir>", "a Hugging Face model directory").default(
        BUNDLED,
        "the bundled model",
      ),
    )
    .addOption(
      new Option("--engine <name>", "what computes; auto takes tensorflow where it is installed, else wasm")
        .choices(["auto", ...ENGINES])
        .default("auto"),
    )
    .addOption(new Option("--device <name>", "fail unless it computes there").choices(["cpu", "cuda"]))
    .addOption(
      new Option("--tf32 <switch>", "on CUDA: faster products of matrices with 10 bits of fraction")
        .choices(["on", "off"])
        .default("off"),
    );
  return execution.reduce((whole, option) => whole.addOption(option), program);
}

/** Loads the engine that the options name. */
export async function openEngine(options: CommonOptions): Promise<Engine> {
  const { engine, device, tf32, execution, xla, dtype } = options;
  const recorded = xla === "on" ? "--xla on" : dtype === "bfloat16" ? "--dtype bfloat16" : undefined;
  if (recorded && !isRecorded(options)) {
    throw new InputError(`${recorded} is for --execution recorded, this is ${execution}`);
  }
  return loadEngine(engine, { device, tf32: tf32 === "on" });
}

/** A command with the common options and those of generation. */
export function generationCommand(
  name: string,
  description: string,
  defaults: Partial<GenerationOptions> = {},
): Command {
  const values = { ...DEFAULTS, ...defaults };
  return command(name, description)
    .option("--prompt <text>", "what to continue; give it several times for a batch", collect)
    .option("--max-gen-len <n>", "tokens to generate for each prompt, at most", number, values.maxGenLen)
    .option("--temperature <t>", "0 always takes the best token", number, values.temperature)
    .option("--top-p <p>", "sample from the likeliest tokens up to this probability", number, values.topP)
    .option("--seed <n>", "the same seed, the same tokens", number, values.seed);
}

/** A checkpoint whose model computes as the options say. */
export interface OpenCheckpoint extends Omit<Checkpoint, "model"> {
  readonly engine: Engine;
  readonly model: Model;
}

/** Loads the engine and the model that the options name. */
export async function open(options: CommonOptions): Promise<OpenCheckpoint> {
  const engine = await openEngine(options);
  const { model, ...rest } = await loadCheckpoint(options.checkpoint, loading(options, engine));
  return { engine, model: executed(model, options), ...rest };
}

/** A model that computes as the options say. */
function executed(model: Llama, options: CommonOptions): Model {
  const { xla, dtype } = options;
  const recording = { xla: xla === "on", weightType: dtype };
  return interruptible(isRecorded(options) ? new RecordedLlama(model, recording) : model);
}

const isRecorded = ({ execution }: CommonOptions): boolean => execution === "recorded";

const copiesOf = (options: CommonOptions, { device }: Engine): number =>
  weightCopies(isRecorded(options), device, options.dtype === "bfloat16");

const loading = (options: CommonOptions, engine: Engine): LoadOptions => ({
  signal: interrupt,
  weightCopies: copiesOf(options, engine),
});

/** Options of the commands that measure: they need a model, but none that makes sense. */
export interface ModelOptions extends CommonOptions {
  readonly randomWeights?: boolean;
  readonly config?: string;
}

/** Adds the options that take random weights in place of a checkpoint. */
export function withRandomWeights(program: Command): Command {
  return program
    .option("--random-weights", "weights made on the device, for the configuration of --config")
    .addOption(
      new Option("--config <name>", "a published model's sizes").choices([
        ...Object.keys(PRESETS),
        "bundled",
      ]),
    );
}

/** The sizes of the model that the options name. */
export async function modelConfig({
  randomWeights: random,
  config,
  checkpoint,
}: Pick<ModelOptions, "randomWeights" | "config" | "checkpoint">): Promise<ModelConfig> {
  if (Boolean(random) !== Boolean(config)) {
    throw new InputError("--random-weights and --config belong together, expected both or neither");
  }
  if (!config) return loadConfig(checkpoint);
  return PRESETS[config] ?? loadConfig(BUNDLED);
}

/** Loads the engine and a model: of a checkpoint, or random weights in some model's sizes. */
export async function openModel(
  options: ModelOptions,
): Promise<{ engine: Engine; model: Model; name: string }> {
  const config = await modelConfig(options);
  const engine = await openEngine(options);
  const { config: preset, checkpoint } = options;
  if (!preset) {
    const { model } = await loadCheckpoint(checkpoint, loading(options, engine));
    return { engine, model: executed(model, options), name: basename(checkpoint) };
  }
  checkWeightsFit(config, `the model ${preset}`, copiesOf(options, engine));
  const model = executed(new Llama(config, randomWeights(config)), options);
  return { engine, model, name: `${preset}, random weights` };
}

/** Runs a command: wrong input ends it with one sentence and exit code 1, Ctrl-C with 130. */
export async function main<Options extends object>(
  program: Command,
  run: (options: Options, signal: AbortSignal) => Promise<void>,
) {
  listen();
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(); // the reader has seen enough: `npm run trace | head`
    console.error(errorLine(new InputError(`the output cannot be written: ${error.message}`)));
    process.exit(1);
  });
  try {
    await run(program.parse().opts() as Options, interrupt);
  } catch (error) {
    if (interrupt.aborted) {
      console.error("\ninterrupted");
      process.exitCode = 130;
    } else if (error instanceof InputError) {
      console.error(errorLine(error));
      process.exitCode = 1;
    } else {
      console.error(error); // a defect of ours: its stack trace is wanted
      process.exitCode = 1;
    }
  }
}

/** What wrong input prints. */
export const errorLine = ({ message }: InputError): string => `${pc.red("error:")} ${harmless(message)}`;

/** Parses an option's number; whether it is in range is for whoever uses it to say. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("Expected a number.");
  return value;
}

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** Writes results as JSON, by lines that a person can read. */
export function writeResults(file: string, results: unknown): Promise<void> {
  return writeWhole(file, `${JSON.stringify(results, null, 1)}\n`);
}

/** Writes a file: to a temporary one first, so that what was there stays whole until this is. */
export async function writeWhole(file: string, text: string): Promise<void> {
  try {
    await writeFile(`${file}.tmp`, text);
    await rename(`${file}.tmp`, file);
  } catch (error) {
    await rm(`${file}.tmp`, { force: true });
    throw new InputError(`${file} cannot be written: ${(error as Error).message}`);
  }
}

/** Refuses a results file that could not be written, before anything is measured; what is there stays as it is. */
export async function checkWritable(file: string): Promise<void> {
  try {
    await writeFile(`${file}.tmp`, "");
    await rm(`${file}.tmp`);
  } catch (error) {
    throw new InputError(`${file} cannot be written: ${(error as Error).message}`);
  }
}

/** Refuses what is not a whole number from `least` up. */
export function checkWhole(name: string, value: number, least = 1): void {
  if (!Number.isInteger(value) || value < least) {
    throw new InputError(`${name} is ${value}, expected a whole number from ${least} up`);
  }
}
