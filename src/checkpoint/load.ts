import * as tf from "@tensorflow/tfjs-core";
import { checkWeightsFit } from "../cost/memory-check.js";
import { upload } from "../backend/tensorflow-backend.js";
import { InputError } from "../util/errors.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import type { ModelConfig } from "../model/config.js";
import { type LayerWeights, Llama, type LlamaWeights } from "../model/llama.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { type CheckpointFiles, inspectDirectory, readJsonFile } from "./checkpoint-files.js";
import { findWeights, rejectOtherFormats } from "./formats.js";
import { parseConfig, parseStopIds } from "./hugging-face-config.js";
import { loadTokenizer } from "./load-tokenizer.js";
import { WeightFiles } from "./weight-files.js";

/** A model and its tokenizer. */
export interface Checkpoint {
  readonly model: Llama;
  readonly tokenizer: Tokenizer;
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
  const { json, config } = await readConfig(files);
  checkWeightsFit(config, `the model of ${directory}`, options.weightCopies);
  const generationFile = files.find("generation_config.json");
  const generationConfig = generationFile && (await readJsonFile(generationFile));
  const stopIds = parseStopIds(json, generationConfig, config.vocabSize, directory);
  const tokenizer = await loadTokenizer(files, config.vocabSize, stopIds);
  const weights = await WeightFiles.at(findWeights(files).path, files);
  return { model: await readModel(config, weights, options.signal), tokenizer };
}

/** Reads the configuration alone. Throws what `loadCheckpoint` throws. */
export async function loadConfig(directory: string): Promise<ModelConfig> {
  return (await readConfig(await inspectDirectory(directory))).config;
}

async function readConfig(files: CheckpointFiles): Promise<{ json: unknown; config: ModelConfig }> {
  rejectOtherFormats(files);
  const file = files.get("config.json");
  const json = await readJsonFile(file);
  return { json, config: parseConfig(json, file.path) };
}

/**
 * Loads the weights alone; `loadCheckpoint` without the tokenizer.
 *
 * @param path a safetensors file, or the index of several
 */
export async function loadModel(
  config: ModelConfig,
  path: string,
  { signal, weightCopies }: LoadOptions = {},
): Promise<Llama> {
  checkWeightsFit(config, `the model of ${path}`, weightCopies);
  return readModel(config, await WeightFiles.at(path), signal);
}

async function readModel(config: ModelConfig, files: WeightFiles, signal?: AbortSignal): Promise<Llama> {
  const loaded: tf.Tensor[] = [];
  try {
    // Check that all tensors are there and fit before the first is read.
    const names = new Set<string>();
    await readWeights(config, async (name, shape) => {
      await files.check(name, shape);
      names.add(name);
      return NOT_READ;
    });
    if (config.tieWordEmbeddings && files.has(HEAD)) {
      await files.check(HEAD, [config.vocabSize, config.hiddenSize]);
      await checkTied(files);
      names.add(HEAD);
    }
    files.checkAllUsed(names);
    const read: ReadTensor = async (name, shape, { transposed }) => {
      await yieldToEventLoop(signal);
      const values = await files.read(name);
      checkFinite(values, name, files.path);
      const tensor = tf.tidy(() => {
        const stored = tf.tensor(values, shape, "float32");
        return transposed ? tf.transpose(stored) : stored;
      });
      loaded.push(tensor);
      upload(tensor);
      return tensor;
    };
    return new Llama(config, await readWeights(config, read));
  } catch (error) {
    tf.dispose(loaded);
    throw error;
  } finally {
    await files.close();
  }
}

const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";

/** Rejects an LM head that differs from the embedding it is supposed to be tied to. */
async function checkTied(files: WeightFiles): Promise<void> {
  const [embedding, head] = [await files.read(EMBEDDING), await files.read(HEAD)];
  let at = 0;
  while (at < head.length && head[at] === embedding[at]) at++;
  if (at === head.length) return;
  throw new InputError(
    `${files.path}: ${HEAD} must equal ${EMBEDDING}, as config.json sets tie_word_embeddings, ` +
      `got ${head[at]} instead of ${embedding[at]} at index ${at}`,
  );
}

/** Stands for each tensor while they are only checked. */
const NOT_READ = {} as tf.Tensor;

type ReadTensor = (name: string, shape: number[], options: { transposed: boolean }) => Promise<tf.Tensor>;

/** Rejects NaN and infinities, which would spread to all logits. */
function checkFinite(values: Float32Array, name: string, path: string): void {
  let at = 0; // a loop, because findIndex takes seven times as long for a billion numbers
  while (at < values.length && Number.isFinite(values[at])) at++;
  if (at === values.length) return;
  throw new InputError(
    `${path}: the ${values.length} numbers of tensor ${name} must be finite, got ${values[at]} at index ${at}`,
  );
}

/** Builds the model's weights; no other function knows Hugging Face's tensor names. */
async function readWeights(config: ModelConfig, read: ReadTensor): Promise<LlamaWeights> {
  const { hiddenSize: C, nHeads: H, nKvHeads: K, headDim: D, intermediateSize: F, vocabSize: V } = config;

  const vector = (name: string) => read(`${name}.weight`, [C], { transposed: false }) as Promise<tf.Tensor1D>;
  const perToken = (name: string) => read(name, [V, C], { transposed: false }) as Promise<tf.Tensor2D>;
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

  // The largest tensors first, because a tensor is in memory twice while it is read.
  const embedding = await perToken(EMBEDDING);
  const lmHead = config.tieWordEmbeddings ? embedding : await perToken(HEAD);
  const layers: LayerWeights[] = [];
  for (let i = 0; i < config.nLayers; i++) layers.push(await layer(i));
  const norm = await vector("model.norm");
  return { embedding, layers, norm, lmHead };
}
