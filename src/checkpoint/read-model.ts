import * as tf from "@tensorflow/tfjs-core";
import { packWeight } from "../backend/packed-weight.js";
import { upload } from "../backend/tensorflow-backend.js";
import { FLOAT32 } from "../cost/cost.js";
import type { ModelConfig } from "../model/config.js";
import { type LayerWeights, Llama } from "../model/llama.js";
import { InputError } from "../util/errors.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import type { CheckpointFiles } from "./checkpoint-files.js";
import { readAhead } from "./read-ahead.js";
import type { StoredBits } from "./safetensors.js";
import { WeightFiles } from "./weight-files.js";

/** A tensor in Hugging Face's format. */
interface Stored {
  readonly name: string;
  readonly shape: readonly number[];
  /** True for matrices stored as [out, in] that the model multiplies from the left, by [in, out]. */
  readonly transposed: boolean;
}

const EMBEDDING = "model.embed_tokens.weight";
const LM_HEAD = "lm_head.weight";
const NORM = "model.norm.weight";

/** The tensors of a layer. */
function layerTensors(config: ModelConfig, layer: number): Record<keyof LayerWeights, Stored> {
  const { hiddenSize: C, nHeads: H, nKvHeads: K, headDim: D, intermediateSize: F } = config;
  const stored = (name: string, ...shape: number[]): Stored => ({
    name: `model.layers.${layer}.${name}.weight`,
    shape,
    transposed: shape.length === 2,
  });
  return {
    attentionNorm: stored("input_layernorm", C),
    wq: stored("self_attn.q_proj", H * D, C),
    wk: stored("self_attn.k_proj", K * D, C),
    wv: stored("self_attn.v_proj", K * D, C),
    wo: stored("self_attn.o_proj", C, H * D),
    feedForwardNorm: stored("post_attention_layernorm", C),
    gate: stored("mlp.gate_proj", F, C),
    up: stored("mlp.up_proj", F, C),
    down: stored("mlp.down_proj", C, F),
  };
}

/** The tensors of a model, the largest first, because a tensor is in memory twice while it is taken over. */
function modelTensors(config: ModelConfig): Stored[] {
  const { vocabSize: V, hiddenSize: C, nLayers, tieWordEmbeddings } = config;
  const stored = (name: string, ...shape: number[]): Stored => ({ name, shape, transposed: false });
  return [
    stored(EMBEDDING, V, C),
    ...(tieWordEmbeddings ? [] : [stored(LM_HEAD, V, C)]),
    ...Array.from({ length: nLayers }, (_, i) => Object.values(layerTensors(config, i))).flat(),
    stored(NORM, C),
  ];
}

/** Options of `readModel`. */
export interface ReadOptions {
  /** Stops reading before the next tensor. */
  readonly signal?: AbortSignal | undefined;
  /** Keeps the weights as they are stored, for a `GraphLlama`; the `Llama` itself cannot use them. */
  readonly forGraphMode?: boolean | undefined;
  /** Receives the tensors read so far, and all there are. */
  readonly onProgress?: ((read: number, all: number) => void) | undefined;
}

/**
 * Reads a model's weights into the backend's memory, one by one: as float32 numbers, or as they are stored. The files are
 * read ahead meanwhile.
 *
 * @throws InputError when the files are malformed or do not hold exactly the tensors of the model, or a number is NaN or
 *         infinite; the signal's reason when it is aborted. No tensor is kept then.
 */
export async function readModel(
  config: ModelConfig,
  files: CheckpointFiles,
  { signal, forGraphMode = false, onProgress }: ReadOptions = {},
): Promise<Llama> {
  const weightFiles = await WeightFiles.of(files);
  const tensors = modelTensors(config);
  const loaded = new Map<string, tf.Tensor>();
  const parts = tensors.map(({ name, shape }) => ({
    bytes: FLOAT32 * tf.util.sizeFromShape([...shape]),
    read: async () => (forGraphMode ? weightFiles.readBits(name) : weightFiles.read(name)),
  }));
  try {
    await checkTensors(config, tensors, weightFiles);
    for await (const values of readAhead(parts)) {
      await yieldToEventLoop(signal);
      const stored = tensors[loaded.size]!;
      loaded.set(stored.name, takeOver(values, stored, weightFiles.path));
      onProgress?.(loaded.size, tensors.length);
    }
    return modelOf(config, loaded);
  } catch (error) {
    tf.dispose([...loaded.values()]);
    throw error;
  } finally {
    await weightFiles.close();
  }
}

/** Makes the model of its tensors by their names. */
function modelOf(config: ModelConfig, tensors: ReadonlyMap<string, tf.Tensor>): Llama {
  const weight = <T extends tf.Tensor>(name: string) => tensors.get(name) as T;
  const layers = Array.from({ length: config.nLayers }, (_, i) => {
    const weights = Object.entries(layerTensors(config, i)).map(([key, { name }]) => [key, weight(name)]);
    return Object.fromEntries(weights) as LayerWeights;
  });
  const [embedding, norm] = [weight<tf.Tensor2D>(EMBEDDING), weight<tf.Tensor1D>(NORM)];
  const lmHead = config.tieWordEmbeddings ? embedding : weight<tf.Tensor2D>(LM_HEAD);
  return new Llama(config, { embedding, layers, norm, lmHead });
}

/** Makes a tensor of a file's numbers in the backend's memory: of float32 ones, or packed as they are stored. */
function takeOver(
  values: Float32Array | StoredBits,
  { name, shape, transposed }: Stored,
  path: string,
): tf.Tensor {
  if ("bits" in values) {
    const { type, bits } = values;
    checkFinite(bits, type, name, path);
    return packWeight(bits, { type, shape, transposed });
  }
  checkFinite(new Int32Array(values.buffer), "float32", name, path);
  const tensor = tf.tidy(() => {
    const stored = tf.tensor(values, [...shape], "float32");
    return transposed ? tf.transpose(stored) : stored;
  });
  upload(tensor);
  return tensor;
}

/** Checks that the files hold exactly the tensors of the model, before the first is read. */
async function checkTensors(
  { tieWordEmbeddings }: ModelConfig,
  tensors: readonly Stored[],
  files: WeightFiles,
): Promise<void> {
  const names = new Set(tensors.map(({ name }) => name));
  for (const { name, shape } of tensors) await files.check(name, shape);
  if (tieWordEmbeddings && files.has(LM_HEAD)) {
    await files.check(LM_HEAD, tensors[0]!.shape);
    await checkTied(files);
    names.add(LM_HEAD);
  }
  files.checkAllUsed(names);
}

/** Rejects an LM head that differs from the embedding it is supposed to be tied to. */
async function checkTied(files: WeightFiles): Promise<void> {
  const [embedding, head] = [await files.read(EMBEDDING), await files.read(LM_HEAD)];
  let at = 0;
  while (at < head.length && head[at] === embedding[at]) at++;
  if (at === head.length) return;
  throw new InputError(
    `${files.path}: ${LM_HEAD} must equal ${EMBEDDING}, as config.json sets tie_word_embeddings, ` +
      `got ${head[at]} instead of ${embedding[at]} at index ${at}`,
  );
}

/**
 * Rejects NaN and infinities, which would spread to all logits: their exponents' bits are all 1. A loop over bits, because
 * `findIndex` takes seven times as long for a billion numbers.
 */
function checkFinite(bits: Int32Array, type: "float32" | "bfloat16", name: string, path: string): void {
  const [high, low] = [0x7f800000, type === "float32" ? -1 : 0x7f80]; // of two bfloat16 numbers, -1: of none
  let at = 0;
  while (at < bits.length && (bits[at]! & high) !== high && (bits[at]! & low) !== low) at++;
  if (at === bits.length) return;
  const [two, number] = [type === "bfloat16", bits[at]!];
  const first = two && (number & low) === low; // the first of the two is in the lower half
  const word = !two ? number : first ? number << 16 : number & 0xffff0000;
  const [value] = new Float32Array(Int32Array.of(word).buffer);
  const [count, index] = two ? [2 * bits.length, 2 * at + (first ? 0 : 1)] : [bits.length, at];
  throw new InputError(
    `${path}: the ${count} numbers of tensor ${name} must be finite, got ${value} at index ${index}`,
  );
}
