import { formatValue } from "../util/format.js";
import { mustBe } from "../util/json.js";

/** Keys of config.json without effect on inference: token ids, training, dtypes, classification heads, tools. */
const INERT = words(`
  attention_dropout bos_token_id chunk_size_feed_forward classifier_dropout dtype eos_token_id finetuning_task id2label
  initializer_range is_decoder is_encoder_decoder is_llama_config label2id max_sequence_length model_max_length
  name_or_path num_labels output_attentions output_hidden_states pad_token_id pretraining_tp problem_type return_dict
  rope_interleaved sep_token_id task_specific_params tf_legacy_loss tokenizer_class torch_dtype torchscript
  transformers.js_config transformers_version unsloth_fixed unsloth_version use_bfloat16 use_cache use_sliding_window
  _attn_implementation _attn_implementation_autoset _flash_attn_2_enabled _name_or_path
`);

/** Parts of names of other keys that describe a file, and not the computation. */
const METADATA =
  /(?:^|_)(?:author|comment|date|description|licen[cs]e|map|name|notes?|path|train(?:ing)?|url|version)(?:_|$)/;

/**
 * Generation settings that this project lacks. Their place is generation_config.json; transformers also reads them in
 * config.json, where they were saved until 4.26.
 */
export const GENERATION_KEYS: ReadonlySet<string> = words(`
  assistant_confidence_threshold assistant_early_exit bad_words_ids begin_suppress_tokens cache_config
  cache_implementation constraints decoder_start_token_id diversity_penalty dola_layers early_stopping
  encoder_no_repeat_ngram_size encoder_repetition_penalty epsilon_cutoff eta_cutoff exponential_decay_length_penalty
  force_words_ids forced_bos_token_id forced_eos_token_id guidance_scale length_penalty low_memory max_length
  max_matching_ngram_size max_new_tokens max_time min_length min_new_tokens min_p no_repeat_ngram_size
  num_assistant_tokens num_assistant_tokens_schedule num_beam_groups num_beams num_return_sequences output_logits
  output_scores penalty_alpha prefix prompt_lookup_num_tokens remove_invalid_values renormalize_logits
  repetition_penalty return_dict_in_generate sequence_bias stop_strings suppress_tokens token_healing top_h typical_p
  watermarking_config
`);

/** Generation settings that are read, see generation-config.ts. */
const SAMPLING = words("do_sample temperature top_k top_p");

/**
 * Rejects keys of config.json that no list here has and that could change the computation.
 *
 * @param json   an object
 * @param known  the keys that are read
 * @param path   of the object inside the file, such as "rope_scaling."
 * @returns the unknown keys that could not: those that describe the file, and those that switch something off
 * @throws InputError for the first of the others
 */
export function unknownKeys(json: unknown, known: readonly string[], source: string, path = ""): string[] {
  const isKnown = new Set([...known, ...INERT, ...SAMPLING, ...GENERATION_KEYS]);
  const unknown = Object.entries(json as object).filter(([key]) => !isKnown.has(key));
  for (const [key, value] of unknown) {
    if (isOff(value) || METADATA.test(key)) continue;
    const expected =
      "absent (an unknown setting that could change the computation; remove it if it does not)";
    throw mustBe(`${source}: ${nameOf(path + key)}`, expected, value);
  }
  return unknown.map(([key]) => path + key);
}

/**
 * One line about the settings of a file that are ignored, if there are any.
 *
 * @param keys their names
 */
export function ignoredKeys(source: string, keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  const more = keys.length > MAX_NAMES ? ` and ${keys.length - MAX_NAMES} more` : "";
  return [`${source}: ignored ${keys.slice(0, MAX_NAMES).map(nameOf).join(", ")}${more}`];
}

/** Most names in one line. */
const MAX_NAMES = 12;

/** A key as it is, or in quotes and short if it is none that a person would choose. */
const nameOf = (key: string): string => (/^[\w.]{1,80}$/.test(key) ? key : formatValue(key));

/** True for a value that switches a setting off: null, false, 0, "", [] or {}. */
export const isOff = (value: unknown): boolean =>
  !value || (typeof value === "object" && Object.keys(value).length === 0);

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
