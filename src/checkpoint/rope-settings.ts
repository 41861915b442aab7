import * as v from "valibot";
import type { Llama3RopeScaling, RopeConfig } from "../model/config.js";
import { formatValue } from "../util/format.js";
import { checkFields, integer, mustBe, number } from "../util/json.js";
import { unknownKeys } from "./known-keys.js";

/** Upper bound for the number of positions: float32 represents all integers up to here. Llama 3.2 has 131,072. */
export const MAX_POSITIONS = 2 ** 24;

// With numbers outside of these ranges a model would run and write nonsense. Published models are well inside.
/** Frequencies of RoPE; below 1, later channels would rotate faster than the first. Llama 3 has 5e5. */
export const THETA = v.optional(number(1, 1e12));
/** Scaling for longer contexts only slows rotation down. Llama 3.2 has 32. */
const FACTOR = number(1, 1e6);
/** Rotations within the original context at which scaling begins and ends. Llama 3 has 1 and 4. */
const ROTATIONS = number(1e-6, 1e6);

/** Rotation of a part of each head only is not supported. */
export const ALL_CHANNELS = v.nullish(v.literal(1, "1 (every channel is rotated)"));

/** `rope_scaling` or `rope_parameters`. The type was called "type" until transformers 4.43. */
const ROPE = {
  rope_theta: THETA,
  rope_type: v.unknown(),
  type: v.unknown(),
  partial_rotary_factor: ALL_CHANNELS,
};

/** The fields of type "llama3"; "linear" has the factor alone. */
const LLAMA3_SCALING = {
  factor: FACTOR,
  low_freq_factor: ROTATIONS,
  high_freq_factor: ROTATIONS,
  original_max_position_embeddings: integer(MAX_POSITIONS),
};

/** The fields of config.json that RoPE depends on. */
export interface RopeFields {
  readonly rope_theta?: number | undefined;
  readonly rope_scaling?: Fields | null | undefined;
  readonly rope_parameters?: Fields | null | undefined;
  readonly original_max_position_embeddings?: number | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Translates the RoPE settings. There are two formats: `rope_theta` beside `rope_scaling`, as Llama 3.2 was published, and
 * all in `rope_parameters`, as transformers 5 writes it.
 *
 * @param source the file's name in errors
 * @param unknown receives the names of unknown keys without effect
 * @throws InputError for settings that are missing, wrong, unknown or contradictory
 */
export function parseRope(config: RopeFields, source: string, unknown: string[]): RopeConfig {
  const { rope_theta, rope_scaling, rope_parameters } = config;
  if (rope_scaling && rope_parameters) {
    throw mustBe(`${source}: rope_scaling`, "absent (there is rope_parameters)", rope_scaling);
  }
  const key = rope_scaling ? "rope_scaling" : "rope_parameters";
  const path = `${key}.`;
  const json = rope_scaling ?? rope_parameters ?? {};
  const rope = checkFields(ROPE, json, source, path);
  const scaling = Object.keys(LLAMA3_SCALING);
  unknown.push(...unknownKeys(json, [...Object.keys(ROPE), ...scaling], source, path));
  const theta = rope.rope_theta ?? rope_theta ?? 10_000;
  if ((rope_theta ?? theta) !== theta) {
    throw mustBe(`${source}: rope_theta`, `${theta} as in ${key}`, rope_theta);
  }
  if (rope.rope_type !== undefined && (rope.type ?? rope.rope_type) !== rope.rope_type) {
    throw mustBe(`${source}: ${path}type`, `${formatValue(rope.rope_type)} as rope_type`, rope.type);
  }
  const typeKey = rope.rope_type === undefined && rope.type !== undefined ? "type" : "rope_type";
  // transformers takes a missing type for "default"; but scaling without a type must be a mistake.
  const type =
    rope[typeKey] === undefined && !scaling.some((field) => field in json) ? "default" : rope[typeKey];
  if (type === "default") return { theta };
  if (type === "linear") {
    return { theta, linearFactor: checkFields({ factor: FACTOR }, json, source, path).factor };
  }
  if (type !== "llama3")
    throw mustBe(`${source}: ${path}${typeKey}`, '"default", "linear" or "llama3"', type);
  // Beside the RoPE settings it has priority.
  const { original_max_position_embeddings: original } = config;
  const all = original === undefined ? json : { ...json, original_max_position_embeddings: original };
  return { theta, scaling: parseScaling(all, source, path) };
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
