import { basename } from "node:path";
import type { LoadOptions } from "../src/checkpoint/load.js";
import { checkWeightsFit } from "../src/engine/memory.js";
import {
  type Checkpoint,
  type Engine,
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
} from "../src/index.js";
import { weightCopies } from "../src/predicted-memory.js";
import { interruptible, signal as interrupt } from "./interrupt.js";
import { BUNDLED, type CommonOptions, type ModelOptions } from "./model-options.js";
import { harmless } from "./terminal.js";

/** Loads the engine that the options name. */
export async function openEngine(options: CommonOptions): Promise<Engine> {
  const { engine, device, tf32, execution, xla, dtype } = options;
  const recorded = xla === "on" ? "--xla on" : dtype === "bfloat16" ? "--dtype bfloat16" : undefined;
  if (recorded && !isRecorded(options)) {
    throw new InputError(`${recorded} is for --execution recorded, this is ${execution}`);
  }
  return loadEngine(engine, { device, tf32: tf32 === "on" });
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
    return { engine, model: executed(model, options), name: harmless(basename(checkpoint)) };
  }
  checkWeightsFit(config, `the model ${preset}`, copiesOf(options, engine));
  const model = executed(new Llama(config, randomWeights(config)), options);
  return { engine, model, name: `${preset}, random weights` };
}
