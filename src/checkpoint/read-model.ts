import * as tf from "@tensorflow/tfjs-core";
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

/**
 * Reads a model's weights into the backend's memory, as float32, one by one.
 *
 * @param signal stops reading before the next tensor
 * @throws InputError when the files are malformed or do not hold exactly the tensors of the model, or a number is NaN or
 *         infinite; the signal's reason when it is aborted. No tensor is kept then.
 */
export async function readModel(
  config: ModelConfig,
  files: CheckpointFiles,
  signal?: AbortSignal,
): Promise<Llama> {
  const { vocabSize: V, hiddenSize: C } = config;
  const weightFiles = await WeightFiles.of(files);
  const loaded: tf.Tensor[] = [];
  const read = async <T extends tf.Tensor>([name, shape]: Stored, transposed = false): Promise<T> => {
    await yieldToEventLoop(signal);
    const values = await weightFiles.read(name);
    checkFinite(values, name, weightFiles.path);
    const tensor = tf.tidy(() => {
      const stored = tf.tensor(values, [...shape], "float32");
      return transposed ? tf.transpose(stored) : stored;
    });
    loaded.push(tensor);
    upload(tensor);
    return tensor as T;
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

/** Rejects NaN and infinities, which would spread to all logits. */
function checkFinite(values: Float32Array, name: string, path: string): void {
  let at = 0; // a loop, because findIndex takes seven times as long for a billion numbers
  while (at < values.length && Number.isFinite(values[at])) at++;
  if (at === values.length) return;
  throw new InputError(
    `${path}: the ${values.length} numbers of tensor ${name} must be finite, got ${values[at]} at index ${at}`,
  );
}
