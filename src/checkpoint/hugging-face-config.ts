import * as v from "valibot";
import type { ModelConfig } from "../model/config.js";
import { checkFields, integer, jsonObject, mustBe, number } from "../util/json.js";
import { ignoredKeys, isOff, unknownKeys } from "./known-keys.js";
import { ALL_CHANNELS, MAX_POSITIONS, parseRope, THETA } from "./rope-settings.js";

// A missing field has transformers' default (`v.optional`). Null is a value of its own, which transformers rejects, takes
// for the default (`v.nullish`), or computes something else with.

const NO_BIAS = v.optional(v.literal(false, "false (Llama has no biases)"));
/** @param older its name in early versions of transformers */
const architecture = (name: string, older = name) =>
  v.nullish(v.array(v.picklist([name, older], `"${name}"`), `["${name}"]`));

const layerTypes = (types: readonly string[], names: string) =>
  v.nullish(v.array(v.picklist(types, names), "a list"));

/**
 * The fields of config.json that describe a Llama (2, 3, 3.1, 3.2, SmolLM, SmolLM2, TinyLlama), with the defaults of
 * transformers' LlamaConfig; but the sizes of the weights have none here, as every file states them.
 */
const LLAMA = {
  model_type: v.picklist(["llama", "mistral"], '"llama" or "mistral"'),
  architectures: architecture("LlamaForCausalLM", "LLaMAForCausalLM"),
  hidden_act: v.optional(v.picklist(["silu", "swish"], '"silu"')), // two names of one function
  is_causal: v.optional(v.literal(true, "true (no position attends to later ones)")),
  attention_bias: NO_BIAS,
  mlp_bias: NO_BIAS,
  quantization_config: v.nullish(v.never("absent (only bfloat16, float16 and float32 weights are read)")),
  layer_types: layerTypes(["full_attention", "attention"], '"full_attention"'), // the second is an old name
  per_layer_config: v.custom<unknown>(isOff, "{} (all layers are alike)"),
  sliding_window: v.nullish(integer()),
  partial_rotary_factor: ALL_CHANNELS,
  hidden_size: integer(),
  num_attention_heads: integer(),
  num_key_value_heads: v.nullish(integer()),
  head_dim: v.nullish(integer()),
  num_hidden_layers: integer(),
  intermediate_size: integer(),
  vocab_size: integer(),
  max_position_embeddings: v.optional(integer(MAX_POSITIONS), 2048),
  original_max_position_embeddings: v.optional(integer(MAX_POSITIONS)),
  /** A smaller number would be negligible beside the mean square that it is added to, a larger one part of it. */
  rms_norm_eps: v.optional(number(1e-12, 0.1), 1e-6),
  tie_word_embeddings: v.optional(v.boolean("true or false"), false),
  rope_theta: THETA,
  rope_scaling: v.nullish(jsonObject),
  rope_parameters: v.nullish(jsonObject),
};

/** A Llama with a sliding window. transformers' MistralConfig has other defaults for two fields: none here. */
const MISTRAL = {
  ...LLAMA,
  architectures: architecture("MistralForCausalLM"),
  layer_types: layerTypes(
    ["full_attention", "attention", "sliding_attention"],
    '"full_attention" or "sliding_attention"',
  ),
  sliding_window: v.optional(v.nullable(integer()), 4096),
  num_key_value_heads: integer(), // 8
  max_position_embeddings: integer(MAX_POSITIONS), // 131,072
};

/**
 * Translates a Hugging Face config.json; no other file knows its field names. Rejects every setting with which
 * transformers would compute something that our model does not.
 *
 * @param json the parsed file
 * @param source the file's name in errors
 * @param notes receives a line for the user about settings that are ignored
 * @throws InputError when a field is missing, wrong or unknown, or describes another model than Llama
 */
export function parseConfig(json: unknown, source: string, notes: string[] = []): ModelConfig {
  const { model_type } = checkFields({ model_type: LLAMA.model_type }, json, source);
  const fields = model_type === "mistral" ? MISTRAL : LLAMA;
  const config = checkFields(fields, json, source);
  const unknown = unknownKeys(json, Object.keys(fields), source);
  const { hidden_size: hiddenSize, num_attention_heads: nHeads, head_dim } = config;
  const nKvHeads = config.num_key_value_heads ?? nHeads;
  if (nHeads % nKvHeads !== 0) {
    throw mustBe(`${source}: num_attention_heads`, `a multiple of num_key_value_heads (${nKvHeads})`, nHeads);
  }
  const headDim = head_dim ?? hiddenSize / nHeads;
  if (!Number.isInteger(headDim)) {
    const expected = `a multiple of num_attention_heads (${nHeads}) if head_dim is missing`;
    throw mustBe(`${source}: hidden_size`, expected, hiddenSize);
  }
  if (headDim % 2 !== 0) throw mustBe(`${source}: head_dim`, "even", headDim);
  const nLayers = config.num_hidden_layers;
  const maxSeqLen = config.max_position_embeddings;
  if (config.layer_types && config.layer_types.length !== nLayers) {
    throw mustBe(`${source}: layer_types`, `a list of ${nLayers}, one per layer`, config.layer_types);
  }
  const slidingWindow = slidingWindowOf(config, source);
  const rope = parseRope(config, source, unknown);
  notes.push(...ignoredKeys(source, unknown));
  return {
    hiddenSize,
    nLayers,
    nHeads,
    nKvHeads,
    headDim,
    intermediateSize: config.intermediate_size,
    vocabSize: config.vocab_size,
    maxSeqLen,
    ...(slidingWindow && { slidingWindow }),
    normEps: config.rms_norm_eps,
    rope,
    tieWordEmbeddings: config.tie_word_embeddings,
  };
}

/**
 * The sliding window of all layers; undefined if it never hides a position. layer_types counts more than sliding_window, as
 * in transformers.
 *
 * Only Mistral has a window. transformers' Llama attends to all positions without a cache, but its cache drops those before
 * the window, so such a file has no right answer.
 */
function slidingWindowOf(
  config: {
    readonly model_type: string;
    readonly layer_types?: readonly string[] | null | undefined;
    readonly sliding_window?: number | null | undefined;
    readonly max_position_embeddings: number;
  },
  source: string,
): number | undefined {
  const { layer_types: types, sliding_window: window, max_position_embeddings: context } = config;
  if (types) {
    const sliding = types.map((type) => type === "sliding_attention");
    const other = sliding.indexOf(!sliding[0]);
    if (other > 0) {
      throw mustBe(`${source}: layer_types.${other}`, `"${types[0]}", as in all layers before`, types[other]);
    }
    if (!sliding[0]) return undefined;
    if (!window) throw mustBe(`${source}: sliding_window`, "a number, as layer_types has a window", window);
  }
  if (!window || window >= context) return undefined;
  if (config.model_type === "mistral") return window;
  const expected = `null or at least max_position_embeddings (${context}) if model_type is "llama"`;
  throw mustBe(`${source}: sliding_window`, expected, window);
}
