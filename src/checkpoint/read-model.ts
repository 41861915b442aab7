import * as tf from "@tensorflow/tfjs-core";
import { packWeight } from "../backend/packed-weight.js";
import { upload } from "../backend/tensorflow-backend.js";
import type { ModelConfig } from "../model/config.js";
import { type LayerWeights, Llama } from "../model/llama.js";
import { InputError } from "../util/errors.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import type { CheckpointFiles } from "./checkpoint-files.js";
import { WeightFiles } from "./weight-files.js";

/** A tensor in Hugging Face's format: its name and shape. */
type Stored = readonly [name: string, shape: readonly number[]];

const EMBEDDING = "model.embed_tokens.weight";
const LM_HEAD = "lm_head.weight";
const NORM = "model.norm.weight";

/** The tensors of a layer. Matrices are stored as [out, in]; the model multiplies from the left, by [in, out]. */
function layerTensors(config: ModelConfig, layer: number): Record<keyof LayerWeights, Stored> {
  const { hiddenSize: C, nHeads: H, nKvHeads: K, headDim: D, intermediateSize: F } = config;
  const stored = (name: string, ...shape: number[]): Stored => [
    `model.layers.${layer}.${name}.weight`,
    shape,
  ];
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
 * Reads a model's weights into the backend's memory, one by one: as float32 numbers, or as they are stored.
 *
 * @throws InputError when the files are malformed or do not hold exactly the tensors of the model, or a number is NaN or
 *         infinite; the signal's reason when it is aborted. No tensor is kept then.
 */
export async function readModel(
  config: ModelConfig,
  files: CheckpointFiles,
  { signal, forGraphMode = false, onProgress }: ReadOptions = {},
): Promise<Llama> {
  const { vocabSize: V, hiddenSize: C } = config;
  const weightFiles = await WeightFiles.of(files);
  const loaded: tf.Tensor[] = [];
  const all = 9 * config.nLayers + (config.tieWordEmbeddings ? 2 : 3);
  const read = async <T extends tf.Tensor>([name, shape]: Stored, transposed = false): Promise<T> => {
    await yieldToEventLoop(signal);
    const tensor = await (forGraphMode ? packed(name, shape, transposed) : uploaded(name, shape, transposed));
    loaded.push(tensor);
    onProgress?.(loaded.length, all);
    return tensor as T;
  };
  const uploaded = async (name: string, shape: readonly number[], transposed: boolean) => {
    const values = await weightFiles.read(name);
    checkFinite(new Int32Array(values.buffer), "float32", name, weightFiles.path);
    const tensor = tf.tidy(() => {
      const stored = tf.tensor(values, [...shape], "float32");
      return transposed ? tf.transpose(stored) : stored;
    });
    upload(tensor);
    return tensor;
  };
  const packed = async (name: string, shape: readonly number[], transposed: boolean) => {
    const { type, bits } = await weightFiles.readBits(name);
    checkFinite(bits, type, name, weightFiles.path);
    return packWeight(bits, { type, shape, transposed });
  };
  try {
    await checkTensors(config, weightFiles);
    // The largest tensors first, because a tensor is in memory twice while it is read.
    const embedding = await read<tf.Tensor2D>([EMBEDDING, [V, C]]);
    const lmHead = config.tieWordEmbeddings ? embedding : await read<tf.Tensor2D>([LM_HEAD, [V, C]]);
    const layers: LayerWeights[] = [];
    for (let i = 0; i < config.nLayers; i++) {
      const layer: Record<string, tf.Tensor> = {};
      for (const [key, stored] of Object.entries(layerTensors(config, i))) {
        layer[key] = await read(stored, stored[1].length === 2);
      }
      layers.push(layer as unknown as LayerWeights);
    }
    return new Llama(config, { embedding, layers, norm: await read<tf.Tensor1D>([NORM, [C]]), lmHead });
  } catch (error) {
    tf.dispose(loaded);
    throw error;
  } finally {
    await weightFiles.close();
  }
}

/** Checks that the files hold exactly the tensors of the model, before the first is read. */
async function checkTensors(config: ModelConfig, files: WeightFiles): Promise<void> {
  const { vocabSize: V, hiddenSize: C, nLayers, tieWordEmbeddings } = config;
  const tensors: Stored[] = [[EMBEDDING, [V, C]]];
  if (!tieWordEmbeddings || files.has(LM_HEAD)) tensors.push([LM_HEAD, [V, C]]);
  for (let i = 0; i < nLayers; i++) tensors.push(...Object.values(layerTensors(config, i)));
  tensors.push([NORM, [C]]);
  for (const [name, shape] of tensors) await files.check(name, shape);
  if (tieWordEmbeddings && files.has(LM_HEAD)) await checkTied(files);
  files.checkAllUsed(new Set(tensors.map(([name]) => name)));
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
