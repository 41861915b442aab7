import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { checkWeightsFit } from "../engine/wasm-heap.js";
import { InputError } from "../errors.js";
import type { ModelConfig } from "../model/config.js";
import { type LayerWeights, Llama, type LlamaWeights } from "../model/llama.js";
import { Tokenizer } from "../tokenizer.js";
import { parseConfig, parseStopIds } from "./hugging-face-config.js";
import { SafetensorsFile } from "./safetensors.js";

/** A model and what it takes to talk to it. */
export interface Checkpoint {
  readonly model: Llama;
  readonly tokenizer: Tokenizer;
}

/**
 * Loads a Hugging Face model directory: config.json, generation_config.json (if there), tokenizer.model and
 * model.safetensors. The engine must have been loaded before; the weights go to its memory one by one, as float32.
 *
 * @throws InputError when a file is missing, damaged, or does not fit the others; nothing stays in memory then
 */
export async function loadCheckpoint(directory: string): Promise<Checkpoint> {
  const configJson = await readJson(join(directory, "config.json"));
  const config = parseConfig(configJson, join(directory, "config.json"));
  const tokenizer = await loadTokenizer(directory, configJson, config.vocabSize);
  return { model: await loadModel(config, await weightsFile(directory)), tokenizer };
}

/** Reads the configuration alone. Throws what `loadCheckpoint` throws. */
export async function loadConfig(directory: string): Promise<ModelConfig> {
  const path = join(directory, "config.json");
  return parseConfig(await readJson(path), path);
}

/** Loads the weights alone; `loadCheckpoint` without the tokenizer. */
export async function loadModel(config: ModelConfig, path: string): Promise<Llama> {
  checkWeightsFit(config, `the model of ${path}`);
  const file = await SafetensorsFile.open(path);
  const loaded: tf.Tensor[] = [];
  try {
    const read: ReadTensor = async (name, shape, { transposed }) => {
      const entry = file.tensors.get(name);
      if (entry && entry.shape.join() !== shape.join()) {
        throw new InputError(
          `tensor ${name} in ${path} has the shape [${entry.shape}], config.json asks for [${shape}]`,
        );
      }
      const values = await file.read(name);
      const tensor = tf.tidy(() => {
        const stored = tf.tensor(values, shape, "float32");
        return transposed ? tf.transpose(stored) : stored;
      });
      loaded.push(tensor);
      return tensor;
    };
    return new Llama(config, await readWeights(config, read));
  } catch (error) {
    tf.dispose(loaded);
    throw error;
  } finally {
    await file.close();
  }
}

type ReadTensor = (name: string, shape: number[], options: { transposed: boolean }) => Promise<tf.Tensor>;

/** Where Hugging Face's names become ours. */
async function readWeights(config: ModelConfig, read: ReadTensor): Promise<LlamaWeights> {
  const { dim: C, nHeads: H, nKvHeads: K, headDim: D, hiddenDim: F, vocabSize: V } = config;

  const vector = (name: string) => read(`${name}.weight`, [C], { transposed: false }) as Promise<tf.Tensor1D>;
  const perToken = (name: string) =>
    read(`${name}.weight`, [V, C], { transposed: false }) as Promise<tf.Tensor2D>;
  // Stored as [out, in]; the model multiplies from the left, by [in, out].
  const projection = (name: string, from: number, to: number) =>
    read(`${name}.weight`, [to, from], { transposed: true }) as Promise<tf.Tensor2D>;

  const layer = async (i: number): Promise<LayerWeights> => ({
    attentionNorm: await vector(`model.layers.${i}.input_layernorm`),
    wq: await projection(`model.layers.${i}.self_attn.q_proj`, C, H * D),
    wk: await projection(`model.layers.${i}.self_attn.k_proj`, C, K * D),
    wv: await projection(`model.layers.${i}.self_attn.v_proj`, C, K * D),
    wo: await projection(`model.layers.${i}.self_attn.o_proj`, H * D, C),
    feedForwardNorm: await vector(`model.layers.${i}.post_attention_layernorm`),
    gate: await projection(`model.layers.${i}.mlp.gate_proj`, C, F),
    up: await projection(`model.layers.${i}.mlp.up_proj`, C, F),
    down: await projection(`model.layers.${i}.mlp.down_proj`, F, C),
  });

  const embedding = await perToken("model.embed_tokens");
  const layers: LayerWeights[] = [];
  for (let i = 0; i < config.nLayers; i++) layers.push(await layer(i));
  const norm = await vector("model.norm");
  const output = config.tieWordEmbeddings ? embedding : await perToken("lm_head");
  return { embedding, layers, norm, output };
}

/** The file with the weights. Models of 3 billion parameters and more come in several, which are not read yet. */
async function weightsFile(directory: string): Promise<string> {
  const path = join(directory, "model.safetensors");
  if (!(await exists(path)) && (await exists(`${path}.index.json`))) {
    throw new InputError(
      `${directory} holds its weights in several files (model.safetensors.index.json), expected one model.safetensors; ` +
        "transformers' save_pretrained with max_shard_size writes one",
    );
  }
  return path;
}

async function loadTokenizer(directory: string, configJson: unknown, vocabSize: number): Promise<Tokenizer> {
  const here = join(directory, "tokenizer.model");
  const metas = join(directory, "original", "tokenizer.model"); // where Meta's repositories on Hugging Face have it
  const path = !(await exists(here)) && (await exists(metas)) ? metas : here;
  const generationPath = join(directory, "generation_config.json");
  const generationConfig = await readJson(generationPath).catch((error: unknown) => {
    if (error instanceof MissingFile) return undefined; // optional
    throw error;
  });
  const stopIds = parseStopIds(configJson, generationConfig, directory);
  const given = stopIds.length > 0 ? { stopIds } : {}; // else the tokenizer's own
  const tokenizer = Tokenizer.fromTiktoken(await readText(path), { source: path, ...given });
  if (tokenizer.vocabSize !== vocabSize) {
    throw new InputError(
      `${path} has ${tokenizer.vocabSize} tokens, ` +
        `the model's embedding in config.json has ${vocabSize}; expected the same number`,
    );
  }
  return tokenizer;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

class MissingFile extends InputError {}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new MissingFile(`${path} is missing; expected a Hugging Face model directory that holds it`);
    }
    throw new InputError(`${path} cannot be read: ${message}`);
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path} is not valid JSON: ${(error as Error).message}`);
  }
}
