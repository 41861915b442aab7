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
import { chooseExecution, EXECUTION_NAMES, type Work } from "./execution.js";
import { explainBackend } from "./machine.js";
import { interruptible, signal as interrupt } from "./interrupt.js";
import { BUNDLED, type CommonOptions, type ModelOptions } from "./model-options.js";
import { clearProgress, escapeControl, showProgress } from "./terminal.js";

/** Loads the backend that the options name. */
export async function openBackend(options: CommonOptions): Promise<Backend> {
  const { backend, device, tf32, execution, dtype } = options;
  if (dtype === "bfloat16" && execution === "eager") {
    throw new InputError(`--execution must be graph or xla with --dtype bfloat16, got ${execution}`);
  }
  return loadBackend(backend, { device, tf32: tf32 === "on" }).catch(explainBackend);
}

/**
 * Loads the backend and the checkpoint that the options name, and prints the checkpoint's notes, and on a terminal the
 * execution that `--execution auto` takes for the work.
 */
export async function open(options: CommonOptions, work: Work) {
  const backend = await openBackend(options);
  const say = (line: string) => console.error(pc.dim(escapeControl(line)));
  let { execution } = options;
  if (execution === "auto") {
    const choice = chooseExecution(backend, options.dtype, work);
    execution = choice.execution;
    if (backend.name === "tensorflow" && process.stderr.isTTY) {
      say(`--execution auto: ${EXECUTION_NAMES[execution]}, ${choice.reason}`);
    }
  }
  const chosen = { ...options, execution };
  return { ...(await openCheckpoint(chosen, backend, say)), execution };
}

/** Loads the checkpoint that the options name, on a backend, and applies their execution. */
export async function openCheckpoint(options: Chosen, backend: Backend, say?: (line: string) => void) {
  const loading = {
    signal: interrupt,
    weightCopies: copiesOf(options, backend.name === "tensorflow", backend),
    forGraphMode: inGraphMode(options) && backend.name === "tensorflow",
    onProgress: (read: number, all: number) =>
      read < all ? showProgress(`reading weights: ${read} of ${all} tensors`) : clearProgress(),
  };
  const { model, tokenizer, sampling, notes } = await loadCheckpoint(options.checkpoint, loading);
  for (const note of notes) say?.(note);
  return { backend, model: executed(model, options), tokenizer, sampling };
}

/** Options without auto. */
type Chosen = CommonOptions & Pick<ModelOptions, "execution">;

/** Applies the options' execution mode to a model. */
function executed(model: Llama, options: Chosen): Model {
  const { execution, dtype } = options;
  const onProgress = (what?: string) => (what ? showProgress(what) : clearProgress());
  const graph = { xla: execution === "xla", weightType: dtype, onProgress };
  return interruptible(inGraphMode(options) ? new GraphLlama(model, graph) : model);
}

const inGraphMode = ({ execution }: Chosen): boolean => execution !== "eager";

const copiesOf = (options: Chosen, fromFile: boolean, { device }: Backend): number =>
  weightCopies(inGraphMode(options), options.dtype === "bfloat16", fromFile, device);

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
  const backend = await openBackend(options);
  if (!preset) {
    return { ...(await openCheckpoint(options, backend)), name: escapeControl(basename(checkpoint)) };
  }
  checkWeightsFit(config, `the model ${preset}`, copiesOf(options, false, backend));
  const model = executed(new Llama(config, randomWeights(config)), options);
  return { backend, model, name: `${preset}, random weights` };
}
