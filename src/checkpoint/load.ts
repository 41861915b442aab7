import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { checkWeightsFit } from "../cost/memory-check.js";
import { handOver } from "../backend/tensorflow-backend.js";
import { InputError } from "../util/errors.js";
import { eventLoop } from "../util/event-loop.js";
import type { ModelConfig } from "../model/config.js";
import { type LayerWeights, Llama, type LlamaWeights } from "../model/llama.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { readJson } from "./directory.js";
import { findWeights, refuseOtherForms } from "./formats.js";
import { parseConfig } from "./hugging-face-config.js";
import { loadTokenizer } from "./load-tokenizer.js";
import { WeightFiles } from "./weight-files.js";

/** A model and what it takes to talk to it. */
export interface Checkpoint {
  readonly model: Llama;
  readonly tokenizer: Tokenizer;
}

/** What can be asked of a loading. */
export interface LoadOptions {
  /** Ends it before the next tensor is read; the reason is thrown, and nothing stays in memory. */
  readonly signal?: AbortSignal | undefined;
  /** How often the weights will be held in memory, when the model is for a `GraphLlama`; see `weightCopies`. */
  readonly weightCopies?: number | undefined;
}

/**
 * Loads a Hugging Face model directory: config.json, generation_config.json (if there), tokenizer.model or
 * tokenizer.json, and model.safetensors or its parts. The backend must have been loaded before; the weights go to its
 * memory one by one, as float32.
 *
 * @throws InputError when a file is missing, damaged, or does not fit the others, or the model does not fit in memory;
 *         nothing stays in memory then
 */
export async function loadCheckpoint(directory: string, options: LoadOptions = {}): Promise<Checkpoint> {
  const config = await loadConfig(directory);
  checkWeightsFit(config, `the model of ${directory}`, options.weightCopies);
  const tokenizer = await loadTokenizer(directory, config.vocabSize);
  return { model: await loadModel(config, await findWeights(directory), options), tokenizer };
}

/** Reads the configuration alone. Throws what `loadCheckpoint` throws. */
export async function loadConfig(directory: string): Promise<ModelConfig> {
  await refuseOtherForms(directory);
  return parseConfig(await readJson(directory, "config.json"), join(directory, "config.json"));
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
  const files = await WeightFiles.at(path);
  const loaded: tf.Tensor[] = [];
  try {
    // Whether all are there and fit is known before the first is read.
    const names = new Set<string>();
    await readWeights(config, async (name, shape) => {
      await files.check(name, shape);
      names.add(name);
      return NOT_READ;
    });
    if (config.tieWordEmbeddings && files.has(HEAD)) {
      await files.check(HEAD, [config.vocabSize, config.hiddenSize]);
      await checkTied(files, path);
      names.add(HEAD);
    }
    files.checkAllTaken(names);
    const read: ReadTensor = async (name, shape, { transposed }) => {
      await eventLoop(signal);
      const values = await files.read(name);
      checkFinite(values, name, path);
      const tensor = tf.tidy(() => {
        const stored = tf.tensor(values, shape, "float32");
        return transposed ? tf.transpose(stored) : stored;
      });
      loaded.push(tensor);
      handOver(tensor);
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

/** Fails where there is a head that differs from the embedding it is to be tied to: nobody can say which one counts. */
async function checkTied(files: WeightFiles, path: string): Promise<void> {
  const [embedding, head] = [await files.read(EMBEDDING), await files.read(HEAD)];
  let at = 0;
  while (at < head.length && head[at] === embedding[at]) at++;
  if (at === head.length) return;
  throw new InputError(
    `config.json ties the word embeddings, but ${HEAD} in ${path} is not ${EMBEDDING}: number ${at} is ${head[at]}, ` +
      `expected ${embedding[at]}, or tie_word_embeddings false`,
  );
}

/** Stands for every tensor while they are only looked for. */
const NOT_READ = {} as tf.Tensor;

type ReadTensor = (name: string, shape: number[], options: { transposed: boolean }) => Promise<tf.Tensor>;

/** Fails for NaN or an infinity, which would spread to every score. */
function checkFinite(values: Float32Array, name: string, path: string): void {
  let at = 0; // a loop, and not findIndex, which takes seven times as long for a billion numbers
  while (at < values.length && Number.isFinite(values[at])) at++;
  if (at === values.length) return;
  throw new InputError(
    `tensor ${name} in ${path} holds ${values[at]} as number ${at} of ${values.length}, expected finite numbers`,
  );
}

/** Where Hugging Face's names become ours. */
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

  // The largest first: while one is read it is in memory twice.
  const embedding = await perToken(EMBEDDING);
  const output = config.tieWordEmbeddings ? embedding : await perToken(HEAD);
  const layers: LayerWeights[] = [];
  for (let i = 0; i < config.nLayers; i++) layers.push(await layer(i));
  const norm = await vector("model.norm");
  return { embedding, layers, norm, output };
}
