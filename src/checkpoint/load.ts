import { checkWeightsFit } from "../cost/memory-check.js";
import type { ModelConfig } from "../model/config.js";
import type { Llama } from "../model/llama.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { type CheckpointFiles, inspectDirectory, readJsonFile } from "./checkpoint-files.js";
import { readGenerationConfig, type SamplingDefaults } from "./generation-config.js";
import { parseConfig } from "./hugging-face-config.js";
import { loadTokenizer } from "./load-tokenizer.js";
import { readModel } from "./read-model.js";

/** A model and its tokenizer. */
export interface Checkpoint {
  readonly model: Llama;
  readonly tokenizer: Tokenizer;
  /** The sampling options that the checkpoint sets. */
  readonly sampling: SamplingDefaults;
  /** Lines for the user: settings of the checkpoint that are ignored, and a context that is cut. */
  readonly notes: readonly string[];
}

/** Options for `loadCheckpoint` and `loadModel`. */
export interface LoadOptions {
  /** Stops loading before the next tensor; its reason is thrown, and no tensor is kept. */
  readonly signal?: AbortSignal | undefined;
  /** Copies of the weights that will be in memory if the model is for a `GraphLlama`; see `weightCopies`. */
  readonly weightCopies?: number | undefined;
}

/**
 * Loads a Hugging Face model directory: config.json, generation_config.json (if there), tokenizer.model or
 * tokenizer.json, and model.safetensors or its parts. The backend must have been loaded before; the weights go to its
 * memory one by one, as float32.
 *
 * @throws InputError when a file is missing, malformed, or does not fit the others, or the model does not fit in memory;
 *         no tensor is kept then
 */
export async function loadCheckpoint(directory: string, options: LoadOptions = {}): Promise<Checkpoint> {
  const files = await inspectDirectory(directory);
  const notes: string[] = [];
  const { json, config } = await readConfig(files, notes);
  checkWeightsFit(config, `the model of ${directory}`, options.weightCopies);
  const generationFile = files.find("generation_config.json");
  const generationConfig = generationFile && (await readJsonFile(generationFile));
  const generation = readGenerationConfig(json, generationConfig, config.vocabSize, directory);
  notes.push(...generation.notes);
  const tokenizer = await loadTokenizer(files, config.vocabSize, generation.stopIds);
  const model = await readModel(config, files, options.signal);
  return { model, tokenizer, sampling: generation.sampling, notes };
}

/** Reads the configuration alone. Throws what `loadCheckpoint` throws. */
export async function loadConfig(directory: string): Promise<ModelConfig> {
  return (await readConfig(await inspectDirectory(directory))).config;
}

async function readConfig(
  files: CheckpointFiles,
  notes?: string[],
): Promise<{ json: unknown; config: ModelConfig }> {
  const file = files.get("config.json");
  const json = await readJsonFile(file);
  return { json, config: parseConfig(json, file.path, notes) };
}

/** Loads the weights alone. Throws what `loadCheckpoint` throws. */
export async function loadModel(
  config: ModelConfig,
  directory: string,
  { signal, weightCopies }: LoadOptions = {},
): Promise<Llama> {
  checkWeightsFit(config, `the model of ${directory}`, weightCopies);
  return readModel(config, await inspectDirectory(directory), signal);
}
