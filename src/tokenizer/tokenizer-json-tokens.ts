import { InputError } from "../util/errors.js";
import { isObject, formatValue } from "../util/format.js";
import type { Part } from "./pre-tokenization.js";

/** Twice the largest vocabulary that Llamas have had. */
const MAX_TOKENS = 2 ** 19;

/** How long an added token may be, and all together: they are looked for in every text, letter by letter. */
const MAX_ADDED_LETTERS = 256;
const MAX_ALL_ADDED_LETTERS = 500_000;

/** What a file says of its tokens, checked. */
export interface TokensOfFile {
  /** The settings of the merges, as they stand there. */
  readonly part: Part;
  /** The ids of the tokens that are merged. */
  readonly vocab: ReadonlyMap<string, number>;
  readonly merges: readonly Merge[];
  readonly added: readonly AddedToken[];
  /** The token of every id. */
  readonly names: readonly string[];
}

/** Two tokens that become one. The earlier a merge stands in the file, the sooner it is done. */
export type Merge = readonly [string, string];

/** A token of the file that is not in the merged vocabulary, or is special. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Whether it is looked for after the text has been normalized. */
  readonly normalized: boolean;
}

/**
 * Reads the `model` and the `added_tokens` of a tokenizer.json.
 *
 * @param embeddings for how many tokens the model has one
 * @param source the file's name, for errors
 * @throws InputError for what is damaged or too much, and for other models than byte-pair merges
 */
export function readTokens(json: Part, embeddings: number | undefined, source: string): TokensOfFile {
  checkSize(json, embeddings, source);
  const model = readModel(json["model"], source);
  const added = readAddedTokens(json["added_tokens"], source);
  const names = namesById(model.vocab, added, source);
  refuseMore(names.length, embeddings, source);
  return { ...model, added, names };
}

/** Refuses a file with more tokens than the model has embeddings, before anything is made of them. */
function checkSize(json: Part, embeddings: number | undefined, source: string): void {
  const { vocab } = isObject(json["model"]) ? json["model"] : {};
  if (isObject(vocab)) refuseMore(Object.keys(vocab).length, embeddings, source);
  if (Array.isArray(json["added_tokens"])) refuseMore(json["added_tokens"].length, embeddings, source);
}

function refuseMore(tokens: number, embeddings: number | undefined, source: string): void {
  if (embeddings !== undefined && tokens > embeddings)
    throw new InputError(
      `${source} has ${tokens} tokens, the model's embedding in config.json has ${embeddings}; ` +
        "expected as many or fewer",
    );
  if (tokens > MAX_TOKENS)
    throw new InputError(`${source} has ${tokens} tokens, expected at most ${MAX_TOKENS}`);
}

function readModel(part: unknown, source: string): Pick<TokensOfFile, "part" | "vocab" | "merges"> {
  if (!isObject(part) || part["type"] !== "BPE") {
    const seen = isObject(part) ? part["type"] : part;
    throw new InputError(`${source}: model.type is ${formatValue(seen)}, expected "BPE"`);
  }
  for (const key of ["dropout", "continuing_subword_prefix", "end_of_word_suffix"]) {
    if (part[key] !== undefined && part[key] !== null && part[key] !== "" && part[key] !== 0)
      throw new InputError(`${source}: model.${key} is ${formatValue(part[key])}, expected null`);
  }
  for (const key of ["fuse_unk", "byte_fallback", "ignore_merges"]) {
    if (typeof (part[key] ?? false) !== "boolean")
      throw new InputError(`${source}: model.${key} is ${formatValue(part[key])}, expected true or false`);
  }
  const { vocab: ids, merges } = part;
  if (!isObject(ids))
    throw new InputError(`${source}: model.vocab is ${formatValue(ids)}, expected a JSON object`);
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(ids)) {
    if (!isId(id))
      throw new InputError(
        `${source}: token ${formatValue(token)} has the id ${formatValue(id)}, expected a whole number`,
      );
    vocab.set(token, id);
  }
  if (!Array.isArray(merges))
    throw new InputError(`${source}: model.merges is ${formatValue(merges)}, expected a list`);
  const { unk_token: unknown = null } = part;
  if (unknown !== null && !vocab.has(String(unknown)))
    throw new InputError(
      `${source}: model.unk_token is ${formatValue(unknown)}, expected a token of the vocabulary or null`,
    );
  return { part, vocab, merges: merges.map((merge: unknown, n) => readMerge(merge, n, vocab, source)) };
}

/** "a b" as it was written until 2024, or ["a", "b"]. */
function readMerge(merge: unknown, n: number, vocab: ReadonlyMap<string, number>, source: string): Merge {
  const pair: unknown = typeof merge === "string" ? merge.split(" ") : merge;
  const [left, right]: unknown[] = Array.isArray(pair) && pair.length === 2 ? pair : [];
  if (typeof left !== "string" || typeof right !== "string")
    throw new InputError(`${source}: merge ${n} is ${formatValue(merge)}, expected two tokens`);
  for (const token of [left, right, left + right]) {
    if (!vocab.has(token))
      throw new InputError(`${source}: merge ${n} has ${formatValue(token)}, which is not in the vocabulary`);
  }
  return [left, right];
}

function readAddedTokens(list: unknown, source: string): AddedToken[] {
  if (list !== undefined && !Array.isArray(list))
    throw new InputError(`${source}: added_tokens is ${formatValue(list)}, expected a list`);
  let letters = 0;
  return (list ?? []).map((token: unknown, n: number) => {
    const where = `${source}: added token ${n}`;
    if (!isObject(token)) throw new InputError(`${where} is ${formatValue(token)}, expected a JSON object`);
    const { id, content, special = false } = token;
    if (!isId(id)) throw new InputError(`${where} has the id ${formatValue(id)}, expected a whole number`);
    if (typeof content !== "string" || content === "")
      throw new InputError(`${where} has the content ${formatValue(content)}, expected a text`);
    for (const key of ["single_word", "lstrip", "rstrip"]) {
      if (special !== true && (token[key] ?? false) !== false)
        throw new InputError(
          `${where}, ${formatValue(content)}, has ${key}, expected none but in special tokens`,
        );
    }
    if (special !== true) letters += content.length;
    if (content.length > MAX_ADDED_LETTERS)
      throw new InputError(
        `${where}, ${formatValue(content)}, has ${content.length} letters, expected at most ${MAX_ADDED_LETTERS}`,
      );
    if (letters > MAX_ALL_ADDED_LETTERS)
      throw new InputError(
        `${source}: the added tokens up to number ${n} have ${letters} letters, ` +
          `expected at most ${MAX_ALL_ADDED_LETTERS} together`,
      );
    return { id, content, special: special === true, normalized: token["normalized"] !== false };
  });
}

/** The token of every id. */
function namesById(
  vocab: ReadonlyMap<string, number>,
  added: readonly AddedToken[],
  source: string,
): string[] {
  const all = new Map(vocab);
  for (const { id, content } of added) {
    if ((all.get(content) ?? id) !== id)
      throw new InputError(
        `${source}: ${formatValue(content)} has the ids ${all.get(content)} and ${id}, expected one`,
      );
    all.set(content, id);
  }
  const names: string[] = [];
  for (const [token, id] of all) {
    if (id >= all.size)
      throw new InputError(
        `${source}: ${formatValue(token)} has the id ${id}, expected 0 to ${all.size - 1} for ${all.size} tokens`,
      );
    if (names[id] !== undefined)
      throw new InputError(
        `${source}: ${formatValue(names[id])} and ${formatValue(token)} both have the id ${id}`,
      );
    names[id] = token;
  }
  return names;
}

const isId = (id: unknown): id is number => Number.isSafeInteger(id) && Number(id) >= 0;
