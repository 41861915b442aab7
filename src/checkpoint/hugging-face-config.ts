import { InputError } from "../errors.js";
import type { Llama3RopeScaling, ModelConfig, RopeConfig } from "../model/config.js";

/** No size in a config is larger than this; whatever is, is a slip of the pen. */
const MAX_SIZE = 1e9;

/**
 * Turns a Hugging Face config.json into ours. This is the one place that knows their names; defaults are those of
 * transformers' LlamaConfig. Whatever our model would compute differently is refused.
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

  const dim = config.size("hidden_size");
  const nHeads = config.size("num_attention_heads");
  const nKvHeads = config.size("num_key_value_heads", nHeads);
  if (nHeads % nKvHeads !== 0) {
    throw config.error("num_attention_heads", `a multiple of num_key_value_heads, ${nKvHeads}`);
  }
  if (!config.has("head_dim") && dim % nHeads !== 0) {
    throw config.error(
      "hidden_size",
      `a multiple of num_attention_heads, ${nHeads}, as there is no head_dim`,
    );
  }
  const headDim = config.size("head_dim", dim / nHeads);
  if (headDim % 2 !== 0) {
    throw new InputError(`${source}: head_dim is ${headDim}, expected an even number`);
  }

  return {
    dim,
    nLayers: config.size("num_hidden_layers"),
    nHeads,
    nKvHeads,
    headDim,
    hiddenDim: config.size("intermediate_size"),
    vocabSize: config.size("vocab_size"),
    maxSeqLen: config.size("max_position_embeddings"),
    normEps: config.positive("rms_norm_eps"),
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
 * @param source the checkpoint's name, for errors
 */
export function parseStopIds(config: unknown, generationConfig: unknown, source: string): number[] {
  const ids = new Fields(config, `${source}: config.json`).tokenIds("eos_token_id");
  if (generationConfig !== undefined) {
    ids.push(...new Fields(generationConfig, `${source}: generation_config.json`).tokenIds("eos_token_id"));
  }
  return [...new Set(ids)];
}

function refuseOtherModels(config: Fields): void {
  config.only("model_type", "llama");
  const architectures = config.get("architectures") ?? [];
  if (!Array.isArray(architectures)) throw config.error("architectures", '["LlamaForCausalLM"]');
  for (const architecture of architectures) {
    if (architecture !== "LlamaForCausalLM") {
      throw config.error("architectures", '["LlamaForCausalLM"]', `names ${show(architecture)}`);
    }
  }
  config.only("hidden_act", "silu", "silu");
  for (const bias of ["attention_bias", "mlp_bias"]) {
    if (config.flag(bias)) throw config.error(bias, "false: Llama 3.2 has no biases");
  }
}

function parseRope(config: Fields): RopeConfig {
  const keys = ["rope_scaling", "rope_parameters"].filter((key) => config.has(key));
  if (keys.length === 2) throw config.error("rope_scaling", "one of them", "stands beside rope_parameters");
  const [key] = keys;
  if (key === undefined) return { theta: config.positive("rope_theta") };

  const rope = config.fields(key);
  const theta = (rope.has("rope_theta") ? rope : config).positive("rope_theta");
  if (config.has("rope_theta") && config.positive("rope_theta") !== theta) {
    throw config.error("rope_theta", `${theta} as in ${key}`);
  }
  const typeKey = rope.has("rope_type") || !rope.has("type") ? "rope_type" : "type"; // "type" until transformers 4.43
  const type = rope.get(typeKey);
  if (type === "default") return { theta };
  if (type === "llama3") return { theta, scaling: parseScaling(rope) };
  throw rope.error(typeKey, '"default" or "llama3"');
}

function parseScaling(rope: Fields): Llama3RopeScaling {
  const lowFreqFactor = rope.positive("low_freq_factor");
  const highFreqFactor = rope.positive("high_freq_factor");
  if (highFreqFactor <= lowFreqFactor) {
    throw rope.error("high_freq_factor", `more than low_freq_factor, ${lowFreqFactor}`);
  }
  return {
    factor: rope.positive("factor"),
    lowFreqFactor,
    highFreqFactor,
    originalMaxSeqLen: rope.size("original_max_position_embeddings"),
  };
}

/** The fields of a JSON object, read by name and checked. As in transformers, null is the same as missing. */
class Fields {
  private readonly values: Record<string, unknown>;
  private readonly source: string;
  private readonly path: string;

  /**
   * @param source the file's name, for errors
   * @param path what leads to this object inside the file: "" or "rope_scaling."
   */
  constructor(value: unknown, source: string, path = "") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new InputError(`${source}: the config is ${show(value)}, expected a JSON object`);
    }
    this.values = { ...value };
    this.source = source;
    this.path = path;
  }

  get(key: string): unknown {
    return Object.hasOwn(this.values, key) ? (this.values[key] ?? undefined) : undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** A positive integer. */
  size(key: string, fallback?: number): number {
    const value = this.get(key) ?? fallback;
    if (Number.isInteger(value) && Number(value) > 0 && Number(value) <= MAX_SIZE) return Number(value);
    throw this.error(key, `an integer from 1 to ${MAX_SIZE}`);
  }

  /** A positive finite number. */
  positive(key: string): number {
    const value = this.get(key);
    if (Number.isFinite(value) && Number(value) > 0) return Number(value);
    throw this.error(key, "a positive number");
  }

  /** true or false; false when missing. */
  flag(key: string): boolean {
    const value = this.get(key) ?? false;
    if (typeof value === "boolean") return value;
    throw this.error(key, "true or false");
  }

  /** Refuses any other value than `expected`. */
  only(key: string, expected: string, fallback?: string): void {
    if ((this.get(key) ?? fallback) !== expected) throw this.error(key, show(expected));
  }

  /** A token id, a list of them, or nothing. */
  tokenIds(key: string): number[] {
    const value = this.get(key) ?? [];
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    return ids.map((id) => {
      if (Number.isInteger(id) && Number(id) >= 0 && Number(id) <= MAX_SIZE) return Number(id);
      throw this.error(key, "a token id or a list of token ids", `holds ${show(id)}`);
    });
  }

  /** An object within this one. */
  fields(key: string): Fields {
    const value = this.get(key);
    if (typeof value !== "object" || Array.isArray(value)) throw this.error(key, "a JSON object");
    return new Fields(value, this.source, `${this.path}${key}.`);
  }

  /** An error that names the field, what it is and what was expected. */
  error(key: string, expected: string, seen?: string): InputError {
    const value = this.get(key);
    const is = seen ?? (value === undefined ? "is missing" : `is ${show(value)}`);
    return new InputError(`${this.source}: ${this.path}${key} ${is}, expected ${expected}`);
  }
}

/** A value of the file as an error shows it: on one line and never long, whatever the file holds. */
function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
