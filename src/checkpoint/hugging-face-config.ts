import { InputError } from "../util/errors.js";
import type { Llama3RopeScaling, ModelConfig, RopeConfig } from "../model/config.js";
import { formatValue } from "../util/format-value.js";
import { Fields, type Range } from "./fields.js";

/** The models that compute as Llama does, and what transformers calls them. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  llama: "LlamaForCausalLM", // Llama 2, 3, 3.1 and 3.2, SmolLM and SmolLM2, TinyLlama
  mistral: "MistralForCausalLM", // where attention has no sliding window
};

/** What transformers' LlamaConfig has where config.json has nothing; MistralConfig's theta and epsilon are the same. */
const DEFAULTS = { theta: 10_000, normEps: 1e-6, maxSeqLen: 2048 };

// Beyond these a model computes, and writes nonsense without a word. Published models are well inside.
/** Less is nothing beside the mean square that it is added to, more is a part of it. Llama has 1e-5 or 1e-6. */
const EPSILONS: Range = [1e-12, 0.1];
/** Below 1, later channels would turn faster than the first. Llama 3 has 5e5, and models of long contexts up to 4e9. */
const THETAS: Range = [1, 1e12];
/** Scaling is for longer contexts, so it slows rotation down. Llama 3.2 has 32. */
const FACTORS: Range = [1, 1e6];
/** How many turns a context has, at least and at most, where rotation is slowed down in part. Llama 3 has 1 and 4. */
const TURNS: Range = [1e-6, 1e6];
/** Positions; float32 has no more integers in a row. Llama 3.2 has 131,072. */
const MAX_POSITIONS = 2 ** 24;

/**
 * Turns a Hugging Face config.json into ours. This is the one place that knows their names; defaults are those of
 * transformers' LlamaConfig, but for the sizes of the weights, which no file leaves out. Whatever our model would compute
 * differently is refused. Mistral without a sliding window is a Llama by another name.
 *
 * Rotary embedding comes in two spellings: `rope_theta` beside `rope_scaling`, as Llama 3.2 was published, and
 * everything in `rope_parameters`, as transformers 5 writes it.
 *
 * @param json what `JSON.parse` made of the file
 * @param source the file's name, for errors
 * @throws InputError when a field is missing, makes no sense or asks for another model than Llama
 */
export function parseConfig(json: unknown, source: string): ModelConfig {
  const config = new Fields(json, source);
  refuseOtherModels(config);

  const hiddenSize = config.size("hidden_size");
  const nHeads = config.size("num_attention_heads");
  const mistral = config.get("model_type") === "mistral"; // whose defaults are others: 8, and 131,072 positions
  const nKvHeads = config.size("num_key_value_heads", mistral ? undefined : nHeads);
  if (nHeads % nKvHeads !== 0) {
    throw config.error("num_attention_heads", `a multiple of num_key_value_heads, ${nKvHeads}`);
  }
  if (!config.has("head_dim") && hiddenSize % nHeads !== 0) {
    throw config.error(
      "hidden_size",
      `a multiple of num_attention_heads, ${nHeads}, as there is no head_dim`,
    );
  }
  const headDim = config.size("head_dim", hiddenSize / nHeads);
  if (headDim % 2 !== 0) {
    throw new InputError(`${source}: head_dim is ${headDim}, expected an even number`);
  }

  return {
    hiddenSize,
    nLayers: config.size("num_hidden_layers"),
    nHeads,
    nKvHeads,
    headDim,
    intermediateSize: config.size("intermediate_size"),
    vocabSize: config.size("vocab_size"),
    maxSeqLen: config.size(
      "max_position_embeddings",
      mistral ? undefined : DEFAULTS.maxSeqLen,
      MAX_POSITIONS,
    ),
    normEps: config.number("rms_norm_eps", EPSILONS, DEFAULTS.normEps),
    rope: parseRope(config),
    tieWordEmbeddings: config.flag("tie_word_embeddings"),
  };
}

/**
 * The ids that end a generation: `eos_token_id` of config.json and of generation_config.json together, each a
 * number, a list or missing. Llama 3.2 Instruct has three of them.
 *
 * @param config config.json, parsed
 * @param generationConfig generation_config.json, parsed; undefined when there is none
 * @param vocabSize how many tokens the model's embedding has: an id beyond would never come, and nothing would stop
 * @param source the checkpoint's name, for errors
 * @throws InputError for what is no id of the vocabulary
 */
export function parseStopIds(
  config: unknown,
  generationConfig: unknown,
  vocabSize: number,
  source: string,
): number[] {
  const idsOf = (json: unknown, file: string) =>
    new Fields(json, `${source}: ${file}`).tokenIds("eos_token_id", vocabSize);
  const ids = idsOf(config, "config.json");
  if (generationConfig !== undefined) ids.push(...idsOf(generationConfig, "generation_config.json"));
  return [...new Set(ids)];
}

function refuseOtherModels(config: Fields): void {
  const type = config.get("model_type");
  const expected = typeof type === "string" && Object.hasOwn(ARCHITECTURES, type) && ARCHITECTURES[type];
  if (!expected) throw config.error("model_type", '"llama" or "mistral"');
  const architectures = config.get("architectures") ?? [];
  if (!Array.isArray(architectures)) throw config.error("architectures", `["${expected}"]`);
  for (const architecture of architectures) {
    if (architecture !== expected) {
      throw config.error("architectures", `["${expected}"]`, `names ${formatValue(architecture)}`);
    }
  }
  config.only("hidden_act", "silu", "silu");
  for (const bias of ["attention_bias", "mlp_bias"]) {
    if (config.flag(bias)) throw config.error(bias, "false: Llama has no biases");
  }
  if (config.has("quantization_config")) {
    throw config.error("quantization_config", "none: weights as bfloat16, float16 or float32", "is there");
  }
  // transformers' MistralConfig has a window of 4096 unless the file says null.
  const windowed = type === "mistral" ? !config.isNull("sliding_window") : config.has("sliding_window");
  if (windowed) throw config.error("sliding_window", "null: every position attends to all before it");
  refusePartialRotation(config);
}

function refusePartialRotation(fields: Fields): void {
  const factor = fields.get("partial_rotary_factor") ?? 1;
  if (factor !== 1) throw fields.error("partial_rotary_factor", "1: every channel is turned");
}

function parseRope(config: Fields): RopeConfig {
  const keys = ["rope_scaling", "rope_parameters"].filter((key) => config.has(key));
  if (keys.length === 2) throw config.error("rope_scaling", "one of them", "stands beside rope_parameters");
  const [key] = keys;
  if (key === undefined) return { theta: config.number("rope_theta", THETAS, DEFAULTS.theta) };

  const rope = config.fields(key);
  refusePartialRotation(rope);
  const theta = (rope.has("rope_theta") ? rope : config).number("rope_theta", THETAS, DEFAULTS.theta);
  if (config.has("rope_theta") && config.number("rope_theta", THETAS) !== theta) {
    throw config.error("rope_theta", `${theta} as in ${key}`);
  }
  const typeKey = rope.has("rope_type") || !rope.has("type") ? "rope_type" : "type"; // "type" until transformers 4.43
  // As in transformers; but a factor that nothing says what to do with is no default.
  const type = rope.has(typeKey) || rope.has("factor") ? rope.get(typeKey) : "default";
  if (type === "default") return { theta };
  if (type === "llama3") return { theta, scaling: parseScaling(rope) };
  if (type === "linear") return { theta, linearFactor: rope.number("factor", FACTORS) };
  throw rope.error(typeKey, '"default", "linear" or "llama3"');
}

function parseScaling(rope: Fields): Llama3RopeScaling {
  const lowFreqFactor = rope.number("low_freq_factor", TURNS);
  const highFreqFactor = rope.number("high_freq_factor", TURNS);
  if (highFreqFactor <= lowFreqFactor) {
    throw rope.error("high_freq_factor", `more than low_freq_factor, ${lowFreqFactor}`);
  }
  return {
    factor: rope.number("factor", FACTORS),
    lowFreqFactor,
    highFreqFactor,
    originalMaxSeqLen: rope.size("original_max_position_embeddings", undefined, MAX_POSITIONS),
  };
}
