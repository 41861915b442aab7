import { ChatTemplate } from "../tokenizer/chat-template.js";
import { InputError } from "../util/errors.js";
import { isObject } from "../util/format.js";
import { mustBe } from "../util/json.js";
import { decodeUtf8 } from "../util/utf8.js";
import { type CheckpointFiles, readJsonFile, readSmallFile } from "./checkpoint-files.js";

/** Upper bound for chat_template.jinja; the longest ones, with tools, have 20 KB. */
const MAX_TEMPLATE_BYTES = 2 ** 20;

/** The special tokens that transformers passes to a template. */
const SPECIAL_TOKENS = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
];

/**
 * Reads a checkpoint's chat template: chat_template.jinja if there is one, as transformers 5 writes it, else the
 * `chat_template` of tokenizer_config.json.
 *
 * @throws InputError for a checkpoint without a template, which is a base model, and for a malformed template or file
 */
export async function readChatTemplate(files: CheckpointFiles): Promise<ChatTemplate> {
  const config = await readObject(files, "tokenizer_config.json");
  const source = `${files.directory}/tokenizer_config.json`;
  const file = files.find("chat_template.jinja");
  const text = file ? decodeUtf8(await readSmallFile(file, MAX_TEMPLATE_BYTES)) : templateIn(config, source);
  if (file && text === undefined) throw new InputError(`${file.path} must be UTF-8`);
  if (text === undefined) {
    throw new InputError(
      `${files.directory} must have a chat template (chat_template.jinja, or chat_template in tokenizer_config.json), got none: ` +
        "it is a base model, use its instruct version",
    );
  }
  // transformers reads the other file unless tokenizer_config.json is of the newer kind.
  const isNew = config["added_tokens_decoder"] !== undefined;
  const names = isNew ? config : { ...config, ...(await readObject(files, "special_tokens_map.json")) };
  return new ChatTemplate(text, specialTokensIn(names, text, source), file?.path ?? source);
}

async function readObject(files: CheckpointFiles, name: string): Promise<Readonly<Record<string, unknown>>> {
  const file = files.find(name);
  const json = file ? await readJsonFile(file) : {};
  if (!isObject(json)) throw mustBe(`${file?.path}`, "a JSON object", json);
  return json;
}

/** One template, or several by name, of which one is the default. */
function templateIn(
  { chat_template: json }: Readonly<Record<string, unknown>>,
  source: string,
): string | undefined {
  const named = Array.isArray(json)
    ? json.find((one) => isObject(one) && one["name"] === "default")
    : undefined;
  const text: unknown = isObject(named) ? named["template"] : json;
  if (typeof text === "string" || text === undefined || text === null) return text ?? undefined;
  throw mustBe(`${source}: chat_template`, 'a text, or a list with one named "default"', json);
}

/** The special tokens' names; each is a text or an object with one, and null is none. */
function specialTokensIn(
  config: Readonly<Record<string, unknown>>,
  template: string,
  source: string,
): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const key of SPECIAL_TOKENS) {
    const json = config[key];
    const content = isObject(json) ? json["content"] : json;
    if (typeof content === "string") tokens[key] = content;
    // A tokenizer class of transformers may have a default for a missing name; a rendering without it would be wrong.
    else if (content !== null && (content !== undefined || new RegExp(`\\b${key}\\b`).test(template))) {
      throw mustBe(`${source}: ${key}`, "the token's name or null, as the chat template uses it", json);
    }
  }
  return tokens;
}
