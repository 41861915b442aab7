import { basename } from "node:path";
import pc from "picocolors";
import { loadConfig } from "../src/checkpoint/load.js";
import { checkWeightsFit } from "../src/cost/memory-check.js";
import type { Backend } from "../src/backend/backend.js";
import {
  InputError,
  Llama,
  loadCheckpoint,
  loadBackend,
  type Model,
  type ModelConfig,
  GraphLlama,
} from "../src/index.js";
import { PRESETS } from "../src/model/presets.js";
import { randomWeights } from "../src/model/random-weights.js";
import { weightCopies } from "../src/cost/predicted-memory.js";
import { explainBackend } from "./machine.js";
import { interruptible, signal as interrupt } from "./interrupt.js";
import { BUNDLED, type CommonOptions, type ModelOptions } from "./model-options.js";
import { escapeControl } from "./terminal.js";

/** Loads the backend that the options name. */
export async function openBackend(options: CommonOptions): Promise<Backend> {
  const { backend, device, tf32, execution, dtype } = options;
  if (dtype === "bfloat16" && !inGraphMode(options)) {
    throw new InputError(`--execution must be graph or xla with --dtype bfloat16, got ${execution}`);
  }
  return loadBackend(backend, { device, tf32: tf32 === "on" }).catch(explainBackend);
}

/** Loads the backend and the checkpoint that the options name, and prints the checkpoint's notes unless `quiet`. */
export async function open(options: CommonOptions, quiet = false) {
  const backend = await openBackend(options);
  const loading = { signal: interrupt, weightCopies: copiesOf(options, backend) };
  const { model, tokenizer, sampling, notes } = await loadCheckpoint(options.checkpoint, loading);
  if (!quiet) for (const note of notes) console.error(pc.dim(escapeControl(note)));
  return { backend, model: executed(model, options), tokenizer, sampling };
}

/** Applies the options' execution mode to a model. */
function executed(model: Llama, options: CommonOptions): Model {
  const { execution, dtype } = options;
  const graph = { xla: execution === "xla", weightType: dtype };
  return interruptible(inGraphMode(options) ? new GraphLlama(model, graph) : model);
}

const inGraphMode = ({ execution }: CommonOptions): boolean => execution !== "eager";

const copiesOf = (options: CommonOptions, { device }: Backend): number =>
  weightCopies(inGraphMode(options), device, options.dtype === "bfloat16");

/** Reads the configuration of the model that the options name. */
export async function modelConfig({
  randomWeights: random,
  config,
  checkpoint,
}: Pick<ModelOptions, "randomWeights" | "config" | "checkpoint">): Promise<ModelConfig> {
  if (Boolean(random) !== Boolean(config)) {
    throw new InputError(
      `--random-weights and --config must be given together, got only ${random ? "--random-weights" : "--config"}`,
    );
  }
  if (!config) return loadConfig(checkpoint);
  // Random weights have not been trained for any context, so the bundled sizes get that of Llama 3.2.
  const { maxSeqLen } = PRESETS["llama-3.2-1b"]!;
  return PRESETS[config] ?? { ...(await loadConfig(BUNDLED)), maxSeqLen };
}

/** Loads the backend and a model: a checkpoint's, or random weights for a configuration. */
export async function openModel(
  options: ModelOptions,
): Promise<{ backend: Backend; model: Model; name: string }> {
  const config = await modelConfig(options);
  const { config: preset, checkpoint } = options;
  if (!preset) return { ...(await open(options, true)), name: escapeControl(basename(checkpoint)) };
  const backend = await openBackend(options);
  checkWeightsFit(config, `the model ${preset}`, copiesOf(options, backend));
  const model = executed(new Llama(config, randomWeights(config)), options);
  return { backend, model, name: `${preset}, random weights` };
}
