import * as v from "valibot";
import { checkFields, mustBe } from "../util/json.js";
import { GENERATION_KEYS, ignoredKeys, isOff } from "./known-keys.js";

/** Settings of generation_config.json. */
export interface GenerationConfig {
  /** Ids of the stop tokens; Llama 3.2 Instruct has three. */
  readonly stopIds: readonly number[];
  /** The sampling options that the file sets. */
  readonly sampling: SamplingDefaults;
  /** A line for the user about settings that are ignored, if there are any. */
  readonly notes: readonly string[];
}

/** A checkpoint's own sampling options, see `SamplingOptions`; those that it does not set are absent. */
export interface SamplingDefaults {
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
}

const number = (isValid: (value: number) => boolean, expected: string) =>
  v.nullish(v.custom<number>((value) => typeof value === "number" && isValid(value), expected));

const SETTINGS = {
  eos_token_id: v.unknown(),
  do_sample: v.nullish(v.boolean("true or false")),
  temperature: number((value) => value >= 0 && value < Infinity, "a number >= 0"),
  top_p: number((value) => value > 0 && value <= 1, "a number > 0 and <= 1"),
  top_k: number((value) => Number.isSafeInteger(value) && value >= 0, "a whole number >= 0"),
};

/** transformers' values for the settings that a file with `do_sample: true` leaves open. */
const SAMPLED = { temperature: 1, top_p: 1, top_k: 50 };

/** Keys without effect on what is generated here. */
const INERT = new Set(
  "_from_model_config bos_token_id output_attentions output_hidden_states pad_token_id transformers_version use_cache".split(
    " ",
  ),
);

/**
 * Reads the generation settings as transformers does: from generation_config.json if there is one, even if it sets no
 * stop tokens, else from config.json. `do_sample: false` becomes temperature 0; with `do_sample: true` a missing setting
 * has transformers' default, such as `top_k` 50. All other settings are ignored, and named if they would change anything;
 * 0 and 1 would not.
 *
 * @param config the parsed config.json
 * @param generationConfig the parsed generation_config.json; undefined if there is none
 * @param vocabSize rows of the embedding: a larger stop id would never be generated, and nothing would stop. Negative ids
 *        are ignored: older files have -1 for "none"
 * @param source the checkpoint's name in errors
 * @throws InputError for a value that is not an id of the vocabulary, or a setting out of range
 */
export function readGenerationConfig(
  config: unknown,
  generationConfig: unknown,
  vocabSize: number,
  source: string,
): GenerationConfig {
  const file = generationConfig === undefined ? "config.json" : "generation_config.json";
  const json = generationConfig === undefined ? config : generationConfig;
  const { eos_token_id, do_sample, ...given } = checkFields(SETTINGS, json, `${source}: ${file}`);
  const temperature = given.temperature ?? (do_sample ? SAMPLED.temperature : undefined);
  const topP = given.top_p ?? (do_sample ? SAMPLED.top_p : undefined);
  const topK = given.top_k ?? (do_sample ? SAMPLED.top_k : undefined);
  const stopIds = [eos_token_id ?? []].flat().filter((id) => {
    if (Number.isInteger(id) && Number(id) < vocabSize) return Number(id) >= 0;
    const expected = `a token id from 0 to ${vocabSize - 1} or a list of them`;
    throw mustBe(`${source}: ${file}: eos_token_id`, expected, id);
  });
  const ignored = Object.entries(json as object).filter(
    ([key, value]) =>
      !Object.hasOwn(SETTINGS, key) &&
      (file === "config.json" ? GENERATION_KEYS.has(key) : !INERT.has(key)) &&
      value !== 1 &&
      !isOff(value),
  );
  return {
    stopIds: [...new Set(stopIds as number[])],
    sampling: {
      ...(do_sample === false ? { temperature: 0 } : temperature !== undefined && { temperature }),
      ...(topP !== undefined && { topP }),
      ...(topK && { topK }), // 0 is all tokens
    },
    notes: ignoredKeys(
      file,
      ignored.map(([key]) => key),
    ),
  };
}
