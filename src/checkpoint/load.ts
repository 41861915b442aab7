import { checkWeightsFit } from "../cost/memory-check.js";
import type { ModelConfig } from "../model/config.js";
import type { Llama } from "../model/llama.js";
import type { ChatTemplate } from "../tokenizer/chat-template.js";
import { inspectDirectory } from "./directory.js";
import { readChatTemplate } from "./read-chat-template.js";
import { type Checkpoint, type LoadOptions, readCheckpoint, readConfig } from "./read-checkpoint.js";
import { readModel } from "./read-model.js";

/**
 * Loads a Hugging Face model directory: config.json, generation_config.json (if there), tokenizer.model or
 * tokenizer.json, and model.safetensors or its parts. The backend must have been loaded before; the weights go to its
 * memory one by one, as float32, or as they are stored; see `ReadOptions`.
 *
 * @throws InputError when a file is missing, malformed, or does not fit the others, or the model does not fit in memory;
 *         no tensor is kept then
 */
export async function loadCheckpoint(directory: string, options?: LoadOptions): Promise<Checkpoint> {
  return readCheckpoint(await inspectDirectory(directory), options);
}

/** Loads the configuration alone. Throws what `loadCheckpoint` throws. */
export async function loadConfig(directory: string): Promise<ModelConfig> {
  return (await readConfig(await inspectDirectory(directory))).config;
}

/** Loads the weights alone. Throws what `loadCheckpoint` throws. */
export async function loadModel(
  config: ModelConfig,
  directory: string,
  options: LoadOptions = {},
): Promise<Llama> {
  checkWeightsFit(config, `the model of ${directory}`, options.weightCopies);
  return readModel(config, await inspectDirectory(directory), options);
}

/** Loads the chat template. Throws what `readChatTemplate` throws. */
export async function loadChatTemplate(directory: string): Promise<ChatTemplate> {
  return readChatTemplate(await inspectDirectory(directory));
}
