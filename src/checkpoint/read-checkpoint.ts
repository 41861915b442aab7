import { checkWeightsFit } from "../cost/memory-check.js";
import type { ModelConfig } from "../model/config.js";
import type { Llama } from "../model/llama.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { type CheckpointFiles, readJsonFile } from "./checkpoint-files.js";
import { readGenerationConfig, type SamplingDefaults } from "./generation-config.js";
import { parseConfig } from "./hugging-face-config.js";
import { readTokenizer } from "./read-tokenizer.js";
import { readModel, type ReadOptions } from "./read-model.js";

/** A model and its tokenizer. */
export interface Checkpoint {
  readonly model: Llama;
  readonly tokenizer: Tokenizer;
  /** The sampling options that the checkpoint sets. */
  readonly sampling: SamplingDefaults;
  /** Lines for the user: settings of the checkpoint that are ignored, and a context that is cut. */
  readonly notes: readonly string[];
}

/** Options for `readCheckpoint`, `loadCheckpoint` and `loadModel`. */
export interface LoadOptions extends ReadOptions {
  /** Copies of the weights that will be in memory if the model is for a `GraphLlama`; see `weightCopies`. */
  readonly weightCopies?: number | undefined;
}

/**
 * Reads a checkpoint in Hugging Face's layout from files on disk or in memory, as `loadCheckpoint` does from a directory.
 *
 * @throws InputError as `loadCheckpoint`
 */
export async function readCheckpoint(files: CheckpointFiles, options: LoadOptions = {}): Promise<Checkpoint> {
  const { directory } = files;
  const notes: string[] = [];
  const { json, config } = await readConfig(files, notes);
  checkWeightsFit(config, `the model of ${directory}`, options.weightCopies);
  const generationFile = files.find("generation_config.json");
  const generationConfig = generationFile && (await readJsonFile(generationFile));
  const generation = readGenerationConfig(json, generationConfig, config.vocabSize, directory);
  notes.push(...generation.notes);
  const tokenizer = await readTokenizer(files, config.vocabSize, generation.stopIds);
  const model = await readModel(config, files, options);
  return { model, tokenizer, sampling: generation.sampling, notes };
}

/**
 * Reads the configuration alone.
 *
 * @param notes receives lines for the user
 */
export async function readConfig(
  files: CheckpointFiles,
  notes?: string[],
): Promise<{ json: unknown; config: ModelConfig }> {
  const file = files.get("config.json");
  const json = await readJsonFile(file);
  return { json, config: parseConfig(json, file.path, notes) };
}
