import * as v from "valibot";
import { InputError } from "../util/errors.js";
import { formatValue, isObject } from "../util/format.js";
import { checkFields, jsonObject, mustBe } from "../util/json.js";
import type { Component } from "./pre-tokenization.js";
import type { AddedToken } from "./tokenizer.js";

/** Upper bound for the number of tokens, twice that of the largest vocabulary of a Llama model. */
const MAX_TOKENS = 2 ** 19;

/** Upper bounds for the characters of one added token and of all together: every text is searched for them. */
const MAX_ADDED_LENGTH = 256;
const MAX_TOTAL_ADDED_LENGTH = 500_000;

/** The tokens and merges of a tokenizer.json. */
export interface Vocabulary {
  /** The `model` object of the file, with the settings of the merges. */
  readonly model: Component;
  /** The ids of the tokens that merges produce, by token string. */
  readonly vocab: ReadonlyMap<string, number>;
  readonly merges: readonly Merge[];
  readonly added: readonly AddedToken[];
  /** The token string of every id. */
  readonly tokens: readonly string[];
}

/** Two token strings that become one; earlier merges of a file have priority. */
export type Merge = readonly [string, string];

const UNUSED = v.custom(
  (value) => value === undefined || value === null || value === "" || value === 0,
  "null",
);
const FLAG = v.nullish(v.boolean("true or false"));

const MODEL = {
  type: v.literal("BPE", '"BPE"'),
  dropout: UNUSED,
  continuing_subword_prefix: UNUSED,
  end_of_word_suffix: UNUSED,
  fuse_unk: FLAG,
  byte_fallback: FLAG,
  ignore_merges: FLAG,
  vocab: jsonObject,
  merges: v.custom<unknown[]>(Array.isArray, "a list"),
  unk_token: v.unknown(),
};

const isId = (id: unknown): id is number => Number.isSafeInteger(id) && Number(id) >= 0;

const ADDED_TOKEN = {
  id: v.custom<number>(isId, "a non-negative integer"),
  content: v.custom<string>(
    (text) => typeof text === "string" && text.length > 0 && text.length <= MAX_ADDED_LENGTH,
    `a text of 1 to ${MAX_ADDED_LENGTH} characters`,
  ),
  special: v.unknown(),
  normalized: v.unknown(),
  lstrip: v.unknown(),
  rstrip: v.unknown(),
  single_word: v.unknown(),
};

const FALSE = v.nullish(v.literal(false, "false (the token is not special)"));
const ORDINARY_TOKEN = { single_word: FALSE, lstrip: FALSE, rstrip: FALSE };

/**
 * Reads the `model` and the `added_tokens` of a tokenizer.json.
 *
 * @param embeddings rows of the model's embedding, if known
 * @param source the file's name in errors
 * @throws InputError for a malformed or too large vocabulary, and for other models than byte-pair encoding
 */
export function readVocabulary(json: Component, embeddings: number | undefined, source: string): Vocabulary {
  // Before looking at each token. Added tokens may have no embedding: an unused <pad>, for example.
  const { vocab } = isObject(json["model"]) ? json["model"] : {};
  const listed = Array.isArray(json["added_tokens"]) ? json["added_tokens"].length : 0;
  checkCount(listed, undefined, source);
  if (isObject(vocab)) checkCount(Object.keys(vocab).length - listed, embeddings, source);

  const model = readModel(json["model"], source);
  const added = readAddedTokens(json["added_tokens"], source);
  const tokens = tokensById(model.vocab, added, source);
  const contents = new Set(added.map(({ content }) => content));
  checkCount(tokens.findLastIndex((token) => !contents.has(token)) + 1, embeddings, source);
  return { ...model, added, tokens };
}

function checkCount(tokens: number, embeddings: number | undefined, source: string): void {
  if (tokens > (embeddings ?? tokens)) {
    throw new InputError(
      `${source} must have at most ${embeddings} tokens, as vocab_size in config.json says, got ${tokens}`,
    );
  }
  if (tokens > MAX_TOKENS)
    throw new InputError(`${source} must have at most ${MAX_TOKENS} tokens, got ${tokens}`);
}

function readModel(json: unknown, source: string): Pick<Vocabulary, "model" | "vocab" | "merges"> {
  const { vocab: ids, merges, unk_token: unknown } = checkFields(MODEL, json, source, "model.");
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(ids)) {
    if (!isId(id)) throw mustBe(`${source}: the id of ${formatValue(token)}`, "a non-negative integer", id);
    vocab.set(token, id);
  }
  if (unknown !== undefined && unknown !== null && !(typeof unknown === "string" && vocab.has(unknown))) {
    throw mustBe(`${source}: model.unk_token`, "a token of the vocabulary or null", unknown);
  }
  return {
    model: json as Component,
    vocab,
    merges: merges.map((merge, n) => readMerge(merge, vocab, `${source}: merge ${n}`)),
  };
}

/** "a b" as files had it until 2024, or ["a", "b"]. */
function readMerge(merge: unknown, vocab: ReadonlyMap<string, number>, where: string): Merge {
  const pair: unknown = typeof merge === "string" ? merge.split(" ") : merge;
  const [left, right]: unknown[] = Array.isArray(pair) && pair.length === 2 ? pair : [];
  if (typeof left !== "string" || typeof right !== "string") throw mustBe(where, "two tokens", merge);
  for (const token of [left, right, left + right]) {
    if (!vocab.has(token)) throw mustBe(where, "two tokens of the vocabulary that form a third", token);
  }
  return [left, right];
}

function readAddedTokens(list: unknown, source: string): AddedToken[] {
  if (list === undefined) return [];
  if (!Array.isArray(list)) throw mustBe(`${source}: added_tokens`, "a list", list);
  let length = 0;
  return list.map((token: unknown, n) => {
    const where = `${source}: added token ${n}`;
    const { id, content, ...flags } = checkFields(ADDED_TOKEN, token, where);
    const special = flags.special === true;
    if (!special) {
      checkFields(ORDINARY_TOKEN, token, `${where}, ${formatValue(content)}`);
      length += content.length;
      if (length > MAX_TOTAL_ADDED_LENGTH) {
        throw new InputError(
          `${source}: added tokens must have at most ${MAX_TOTAL_ADDED_LENGTH} characters together, ` +
            `got ${length} up to token ${n}`,
        );
      }
    }
    return {
      id,
      content,
      special,
      normalized: flags.normalized !== false,
      lstrip: flags.lstrip === true,
      rstrip: flags.rstrip === true,
      singleWord: flags.single_word === true,
    };
  });
}

function tokensById(
  vocab: ReadonlyMap<string, number>,
  added: readonly AddedToken[],
  source: string,
): string[] {
  const all = new Map(vocab);
  for (const { id, content } of added) {
    const known = all.get(content) ?? id;
    if (known !== id)
      throw new InputError(`${source}: ${formatValue(content)} must have one id, got ${known} and ${id}`);
    all.set(content, id);
  }
  const tokens: string[] = [];
  for (const [token, id] of all) {
    if (id >= all.size) {
      throw mustBe(
        `${source}: the id of ${formatValue(token)}`,
        `0 to ${all.size - 1} for ${all.size} tokens`,
        id,
      );
    }
    if (tokens[id] !== undefined) {
      throw new InputError(
        `${source}: each id must have one token, got ${formatValue(tokens[id])} and ${formatValue(token)} for ${id}`,
      );
    }
    tokens[id] = token;
  }
  return tokens;
}
