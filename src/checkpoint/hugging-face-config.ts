import * as v from "valibot";
import type { Llama3RopeScaling, ModelConfig, RopeConfig } from "../model/config.js";
import { checkFields, jsonObject, mustBe } from "../util/json.js";

/** Upper bound for the number of positions: float32 represents all integers up to here. Llama 3.2 has 131,072. */
const MAX_POSITIONS = 2 ** 24;

const integer = (most = 1e9) =>
  v.custom<number>(
    (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most,
    `an integer from 1 to ${most}`,
  );

const number = (least: number, most: number) =>
  v.custom<number>(
    (value) => Number.isFinite(value) && Number(value) >= least && Number(value) <= most,
    `a number from ${least} to ${most}`,
  );

/** A field that may be missing or null, which transformers takes for missing; then it has the default, if there is one. */
const optional = v.nullish;

// With numbers outside of these ranges a model would run and write nonsense. Published models are well inside.
/** Frequencies of RoPE; below 1, later channels would rotate faster than the first. Llama 3 has 5e5. */
const THETA = optional(number(1, 1e12));
/** Scaling for longer contexts only slows rotation down. Llama 3.2 has 32. */
const FACTOR = number(1, 1e6);
/** Rotations within the original context at which scaling begins and ends. Llama 3 has 1 and 4. */
const ROTATIONS = number(1e-6, 1e6);

const NO_BIAS = optional(v.literal(false, "false (Llama has no biases)"));
const NO_WINDOW = "null (every position attends to all before it)";
const ALL_CHANNELS = optional(v.literal(1, "1 (every channel is rotated)"));

const architecture = (name: string) => optional(v.array(v.literal(name, `"${name}"`), `["${name}"]`));

/**
 * The fields of config.json that describe a Llama (2, 3, 3.1, 3.2, SmolLM, SmolLM2, TinyLlama), with the defaults of
 * transformers' LlamaConfig; but the sizes of the weights have none here, as every file states them.
 */
const LLAMA = {
  model_type: v.picklist(["llama", "mistral"], '"llama" or "mistral"'),
  architectures: architecture("LlamaForCausalLM"),
  hidden_act: optional(v.literal("silu", '"silu"')),
  attention_bias: NO_BIAS,
  mlp_bias: NO_BIAS,
  quantization_config: optional(v.never("absent (only bfloat16, float16 and float32 weights are read)")),
  sliding_window: optional(v.never(NO_WINDOW)),
  partial_rotary_factor: ALL_CHANNELS,
  hidden_size: integer(),
  num_attention_heads: integer(),
  num_key_value_heads: optional(integer()),
  head_dim: optional(integer()),
  num_hidden_layers: integer(),
  intermediate_size: integer(),
  vocab_size: integer(),
  max_position_embeddings: optional(integer(MAX_POSITIONS), 2048),
  /** A smaller number would be negligible beside the mean square that it is added to, a larger one part of it. */
  rms_norm_eps: optional(number(1e-12, 0.1), 1e-6),
  tie_word_embeddings: optional(v.boolean("true or false"), false),
  rope_theta: THETA,
  rope_scaling: optional(jsonObject),
  rope_parameters: optional(jsonObject),
};

/** Mistral without a sliding window computes as Llama does. transformers' MistralConfig has other defaults: none here. */
const MISTRAL = {
  ...LLAMA,
  architectures: architecture("MistralForCausalLM"),
  sliding_window: v.null(NO_WINDOW), // a missing one would be 4096
  num_key_value_heads: integer(), // 8
  max_position_embeddings: integer(MAX_POSITIONS), // 131,072
};

/** `rope_scaling` or `rope_parameters`. The type was called "type" until transformers 4.43. */
const ROPE = {
  rope_theta: THETA,
  rope_type: v.unknown(),
  type: v.unknown(),
  factor: v.unknown(),
  partial_rotary_factor: ALL_CHANNELS,
};

const LLAMA3_SCALING = {
  factor: FACTOR,
  low_freq_factor: ROTATIONS,
  high_freq_factor: ROTATIONS,
  original_max_position_embeddings: integer(MAX_POSITIONS),
};

/**
 * Translates a Hugging Face config.json; no other file knows its field names. Rejects every setting with which
 * transformers would compute something that our model does not.
 *
 * RoPE has two formats: `rope_theta` beside `rope_scaling`, as Llama 3.2 was published, and all in `rope_parameters`, as
 * transformers 5 writes it.
 *
 * @param json the parsed file
 * @param source the file's name in errors
 * @throws InputError when a field is missing or wrong, or describes another model than Llama
 */
export function parseConfig(json: unknown, source: string): ModelConfig {
  const { model_type } = checkFields({ model_type: LLAMA.model_type }, json, source);
  const config = checkFields(model_type === "mistral" ? MISTRAL : LLAMA, json, source);
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
  return {
    hiddenSize,
    nLayers: config.num_hidden_layers,
    nHeads,
    nKvHeads,
    headDim,
    intermediateSize: config.intermediate_size,
    vocabSize: config.vocab_size,
    maxSeqLen: config.max_position_embeddings,
    normEps: config.rms_norm_eps,
    rope: parseRope(config, source),
    tieWordEmbeddings: config.tie_word_embeddings,
  };
}

type RopeFields = Pick<
  v.InferOutput<v.ObjectSchema<typeof LLAMA, undefined>>,
  "rope_theta" | "rope_scaling" | "rope_parameters"
>;

function parseRope({ rope_theta, rope_scaling, rope_parameters }: RopeFields, source: string): RopeConfig {
  if (rope_scaling && rope_parameters) {
    throw mustBe(`${source}: rope_scaling`, "absent (there is rope_parameters)", rope_scaling);
  }
  const key = rope_scaling ? "rope_scaling" : "rope_parameters";
  const json = rope_scaling ?? rope_parameters ?? {};
  const rope = checkFields(ROPE, json, source, `${key}.`);
  const theta = rope.rope_theta ?? rope_theta ?? 10_000;
  if ((rope_theta ?? theta) !== theta) {
    throw mustBe(`${source}: rope_theta`, `${theta} as in ${key}`, rope_theta);
  }
  const has = (field: keyof typeof ROPE) => rope[field] !== undefined && rope[field] !== null;
  const typeKey = has("rope_type") || !has("type") ? "rope_type" : "type";
  // transformers takes a missing type for "default"; but a factor without a type must be a mistake.
  const type = has(typeKey) || has("factor") ? rope[typeKey] : "default";
  if (type === "default") return { theta };
  if (type === "llama3") return { theta, scaling: parseScaling(json, source, `${key}.`) };
  if (type === "linear") {
    return { theta, linearFactor: checkFields({ factor: FACTOR }, json, source, `${key}.`).factor };
  }
  throw mustBe(`${source}: ${key}.${typeKey}`, '"default", "linear" or "llama3"', type);
}

function parseScaling(json: unknown, source: string, path: string): Llama3RopeScaling {
  const scaling = checkFields(LLAMA3_SCALING, json, source, path);
  const { factor, low_freq_factor: lowFreqFactor, high_freq_factor: highFreqFactor } = scaling;
  if (highFreqFactor <= lowFreqFactor) {
    const expected = `larger than low_freq_factor (${lowFreqFactor})`;
    throw mustBe(`${source}: ${path}high_freq_factor`, expected, highFreqFactor);
  }
  return {
    factor,
    lowFreqFactor,
    highFreqFactor,
    originalMaxSeqLen: scaling.original_max_position_embeddings,
  };
}

/**
 * The ids of a checkpoint's stop tokens: `eos_token_id` of config.json and generation_config.json together, each a
 * number, a list or missing. Llama 3.2 Instruct has three of them.
 *
 * @param config the parsed config.json
 * @param generationConfig the parsed generation_config.json; undefined if there is none
 * @param vocabSize rows of the embedding: a larger id would never be generated, and nothing would stop
 * @param source the checkpoint's name in errors
 * @throws InputError for a value that is not an id of the vocabulary
 */
export function parseStopIds(
  config: unknown,
  generationConfig: unknown = {},
  vocabSize: number,
  source: string,
): number[] {
  const files = { "config.json": config, "generation_config.json": generationConfig };
  const ids = Object.entries(files).flatMap(([file, json]) => {
    const { eos_token_id } = checkFields({ eos_token_id: v.unknown() }, json, `${source}: ${file}`);
    return [eos_token_id ?? []].flat().map((id) => {
      if (Number.isInteger(id) && Number(id) >= 0 && Number(id) < vocabSize) return Number(id);
      const expected = `a token id from 0 to ${vocabSize - 1} or a list of them`;
      throw mustBe(`${source}: ${file}: eos_token_id`, expected, id);
    });
  });
  return [...new Set(ids)];
}
