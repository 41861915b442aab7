import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { mergePairs } from "./byte-pair-merge.js";
import { InputError } from "./errors.js";
import { isObject, show } from "./show.js";
import { type Cuts, type Part, readCuts } from "./tokenizer-json-cuts.js";
import { Tokenizer } from "./tokenizer.js";
import { utf8 } from "./utf8.js";

/** A token of the file that is not in the merged vocabulary, or is special. */
interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Whether it is looked for after the text has been normalized. */
  readonly normalized: boolean;
}

/** Pieces longer than this many UTF-16 units are merged by us: a million letters take the library ten to twenty seconds. */
const LONG_PIECE = 256;

/** Half a surrogate pair, which `encode` lets no text have. */
const HALF_PAIR = "\uD800";

/** Twice the largest vocabulary that Llamas have had. */
const MAX_TOKENS = 2 ** 19;

/** How long an added token may be, and all together: they are looked for in every text, letter by letter. */
const MAX_ADDED_LETTERS = 256;
const MAX_ALL_ADDED_LETTERS = 500_000;

/**
 * A tokenizer from Hugging Face's `tokenizer.json`: byte-pair merges of bytes (Llama 3, SmolLM2) or of characters with
 * bytes to fall back on, as SentencePiece makes them (Llama 2, TinyLlama, Mistral). `@huggingface/tokenizers` cuts and
 * merges; ours are the checks, the bytes of every token, and that nothing in a text is special.
 *
 * A tokenizer of characters puts a blank before every text, which `decode` writes too.
 *
 * @param json what `JSON.parse` made of the file
 * @param options.source the file's name, for errors
 * @param options.stopIds the ids that end a generation
 * @param options.embeddings for how many tokens the model has one; there may be fewer tokens, but not more
 * @throws InputError for a file that is damaged, or of a kind that is not known to give the same ids as in Python
 */
export function readTokenizerJson(
  json: unknown,
  { source, stopIds, embeddings }: { source: string; stopIds: Iterable<number>; embeddings?: number },
): Tokenizer {
  if (!isObject(json)) throw new InputError(`${source} is ${show(json)}, expected a JSON object`);
  checkSize(json, embeddings, source);
  const model = readModel(json["model"], source);
  const cuts = readCuts(json["normalizer"], json["pre_tokenizer"], source);
  const added = readAddedTokens(json["added_tokens"], source);
  const names = namesById(model.vocab, added, source);
  refuseMore(names.length, embeddings, source);
  const specials = new Map(added.filter(({ special }) => special).map(({ content, id }) => [content, id]));

  // The library would find special tokens in any text, or merge letters into one. Without them in what it knows, it
  // cannot. The one that it needs, for letters that have no token, goes by a name that no text can have in it.
  const vocab = new Map([...model.vocab].filter(([token]) => !specials.has(token)));
  const merges = model.merges.filter(([left, right]) => !specials.has(left + right));
  const missing = bytesWithout(vocab, model.part, cuts, source);
  let unknown = model.part["unk_token"];
  const unknownId = specials.get(String(unknown));
  if (unknownId !== undefined) vocab.set((unknown = HALF_PAIR), unknownId);
  const library = new HuggingFaceTokenizer(
    {
      model: { ...model.part, type: "BPE", vocab: Object.fromEntries(vocab), merges, unk_token: unknown },
      normalizer: cuts.normalizer,
      pre_tokenizer: cuts.preTokenizer,
      post_processor: null,
      decoder: null,
      added_tokens: added.filter(({ content }) => !specials.has(content)),
    },
    {},
  ) as Library;
  mergeLongPieces(library.model, merges);
  const cutContinuation = continuationCuts(library);
  const plain = new Set(added.map(({ id }) => id)); // written as they are
  const parts = {
    tokens: names.map((name, id) => (plain.has(id) ? utf8(name) : bytesOf(name, cuts.byteLevel))),
    specials,
    encode: (text: string, continues: boolean) => {
      checkText(text, missing, source);
      cutContinuation(continues);
      return library.encode(text.replaceAll(/\p{Surrogate}/gu, "\uFFFD"), { add_special_tokens: false }).ids;
    },
    bosId: readBos(json["post_processor"], specials, source),
  };
  return new Tokenizer(parts, stopIds, embeddings);
}

/** What is used of the library's tokenizer, whose own types do not resolve. */
interface Library {
  readonly model: {
    /** The tokens of a piece. */
    bpe: (piece: string) => string[];
  };
  /** Cuts one section of a text; its added tokens lie between sections. */
  pre_tokenizer: ((section: string, options: { section_index: number }) => string[]) | null;
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
}

/** Makes a switch that says whether texts continue: then their first section is not the first of all. */
function continuationCuts(library: Library): (continues: boolean) => void {
  const { pre_tokenizer: cut } = library;
  let before = 0;
  if (cut) library.pre_tokenizer = (text, { section_index: n }) => cut(text, { section_index: before + n });
  return (continues) => void (before = continues ? 1 : 0);
}

/** Lets a model have its long pieces merged by us, which gives the same tokens. */
function mergeLongPieces(model: Library["model"], merges: Model["merges"]): void {
  const key = (leftLength: number, both: string) => `${leftLength} ${both}`;
  let ranks: ReadonlyMap<string, number> | undefined; // made for the first long piece, which most texts do not have
  const mergeShort = model.bpe.bind(model);
  model.bpe = (piece) => {
    if (piece.length <= LONG_PIECE) return mergeShort(piece);
    const known = (ranks ??= new Map(
      merges.map(([left, right], rank) => [key(left.length, left + right), rank]),
    ));
    return mergePairs(piece, (start, middle, end) => known.get(key(middle - start, piece.slice(start, end))));
  };
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

interface Model {
  readonly part: Part;
  readonly vocab: ReadonlyMap<string, number>;
  readonly merges: readonly (readonly [string, string])[];
}

function readModel(part: unknown, source: string): Model {
  if (!isObject(part) || part["type"] !== "BPE") {
    const seen = isObject(part) ? part["type"] : part;
    throw new InputError(`${source}: model.type is ${show(seen)}, expected "BPE"`);
  }
  for (const key of ["dropout", "continuing_subword_prefix", "end_of_word_suffix"]) {
    if (part[key] !== undefined && part[key] !== null && part[key] !== "" && part[key] !== 0)
      throw new InputError(`${source}: model.${key} is ${show(part[key])}, expected null`);
  }
  for (const key of ["fuse_unk", "byte_fallback", "ignore_merges"]) {
    if (typeof (part[key] ?? false) !== "boolean")
      throw new InputError(`${source}: model.${key} is ${show(part[key])}, expected true or false`);
  }
  const { vocab: ids, merges } = part;
  if (!isObject(ids)) throw new InputError(`${source}: model.vocab is ${show(ids)}, expected a JSON object`);
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(ids)) {
    if (!isId(id))
      throw new InputError(`${source}: token ${show(token)} has the id ${show(id)}, expected a whole number`);
    vocab.set(token, id);
  }
  if (!Array.isArray(merges))
    throw new InputError(`${source}: model.merges is ${show(merges)}, expected a list`);
  const { unk_token: unknown = null } = part;
  if (unknown !== null && !vocab.has(String(unknown)))
    throw new InputError(
      `${source}: model.unk_token is ${show(unknown)}, expected a token of the vocabulary or null`,
    );
  return { part, vocab, merges: merges.map((merge: unknown, n) => readMerge(merge, n, vocab, source)) };
}

/** "a b" as it was written until 2024, or ["a", "b"]. */
function readMerge(
  merge: unknown,
  n: number,
  vocab: ReadonlyMap<string, number>,
  source: string,
): [string, string] {
  const pair: unknown = typeof merge === "string" ? merge.split(" ") : merge;
  const [left, right]: unknown[] = Array.isArray(pair) && pair.length === 2 ? pair : [];
  if (typeof left !== "string" || typeof right !== "string")
    throw new InputError(`${source}: merge ${n} is ${show(merge)}, expected two tokens`);
  for (const token of [left, right, left + right]) {
    if (!vocab.has(token))
      throw new InputError(`${source}: merge ${n} has ${show(token)}, which is not in the vocabulary`);
  }
  return [left, right];
}

function readAddedTokens(list: unknown, source: string): AddedToken[] {
  if (list !== undefined && !Array.isArray(list))
    throw new InputError(`${source}: added_tokens is ${show(list)}, expected a list`);
  let letters = 0;
  return (list ?? []).map((token: unknown, n: number) => {
    const where = `${source}: added token ${n}`;
    if (!isObject(token)) throw new InputError(`${where} is ${show(token)}, expected a JSON object`);
    const { id, content, special = false } = token;
    if (!isId(id)) throw new InputError(`${where} has the id ${show(id)}, expected a whole number`);
    if (typeof content !== "string" || content === "")
      throw new InputError(`${where} has the content ${show(content)}, expected a text`);
    for (const key of ["single_word", "lstrip", "rstrip"]) {
      if (special !== true && (token[key] ?? false) !== false)
        throw new InputError(`${where}, ${show(content)}, has ${key}, expected none but in special tokens`);
    }
    if (special !== true) letters += content.length;
    if (content.length > MAX_ADDED_LETTERS)
      throw new InputError(
        `${where}, ${show(content)}, has ${content.length} letters, expected at most ${MAX_ADDED_LETTERS}`,
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
        `${source}: ${show(content)} has the ids ${all.get(content)} and ${id}, expected one`,
      );
    all.set(content, id);
  }
  const names: string[] = [];
  for (const [token, id] of all) {
    if (id >= all.size)
      throw new InputError(
        `${source}: ${show(token)} has the id ${id}, expected 0 to ${all.size - 1} for ${all.size} tokens`,
      );
    if (names[id] !== undefined)
      throw new InputError(`${source}: ${show(names[id])} and ${show(token)} both have the id ${id}`);
    names[id] = token;
  }
  return names;
}

/**
 * The bytes that have no token and no unk_token to stand for them, such as control characters in SmolLM2. Python's
 * `tokenizers` leaves them out of a text without a word; here such a text is refused.
 */
function bytesWithout(
  vocab: ReadonlyMap<string, number>,
  model: Part,
  { byteLevel }: Cuts,
  source: string,
): ReadonlySet<number> {
  if (typeof model["unk_token"] === "string") return new Set();
  if (!byteLevel && model["byte_fallback"] !== true)
    throw new InputError(
      `${source} has neither bytes to fall back on nor an unk_token, expected one of them`,
    );
  const tokenOf = (byte: number) => (byteLevel ? LETTERS[byte]! : byteToken(byte));
  return new Set([...LETTERS.keys()].filter((byte) => !vocab.has(tokenOf(byte))));
}

/** Refuses a text with a byte that would be left out. */
function checkText(text: string, missing: ReadonlySet<number>, source: string): void {
  if (missing.size === 0) return;
  for (const byte of new TextEncoder().encode(text)) {
    if (missing.has(byte)) {
      const shown = byteToken(byte);
      throw new InputError(
        `${source} has no token for the byte ${shown} of the text, expected a text without it`,
      );
    }
  }
}

/** The special token that the file's template puts before a text, which is all that it may add. */
function readBos(part: unknown, specials: ReadonlyMap<string, number>, source: string): number | undefined {
  const processors = isObject(part) && part["type"] === "Sequence" ? part["processors"] : [part];
  const where = `${source}: post_processor`;
  if (!Array.isArray(processors))
    throw new InputError(`${where}.processors is ${show(processors)}, expected a list`);
  const added = processors.flatMap((processor: unknown) => {
    if (processor === null || processor === undefined) return [];
    if (isObject(processor) && processor["type"] === "ByteLevel") return []; // of offsets only
    const template = isObject(processor) && processor["type"] === "TemplateProcessing" && processor["single"];
    if (!Array.isArray(template))
      throw new InputError(`${where} is ${show(processor)}, expected TemplateProcessing`);
    return template.map((piece: unknown) => (isObject(piece) ? piece : {}));
  });
  const [first, ...rest] = added;
  if (first === undefined || (first["Sequence"] && rest.length === 0)) return undefined;
  const { id: name } = isObject(first["SpecialToken"]) ? first["SpecialToken"] : {};
  const bosId = specials.get(String(name));
  if (bosId !== undefined && rest.length === 1 && rest[0]!["Sequence"]) return bosId;
  throw new InputError(`${where} is ${show(added)}, expected one special token and then the text`);
}

const isId = (id: unknown): id is number => Number.isSafeInteger(id) && Number(id) >= 0;

/** "<0x0A>", as SentencePiece calls the byte 10. */
const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

/** How byte-level tokens write each byte: those that print as themselves, the others as letters from U+0100 on. */
const LETTERS: string[] = [];
for (let byte = 0, standIns = 0; byte < 256; byte++) {
  const prints = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  LETTERS.push(String.fromCharCode(prints ? byte : 256 + standIns++));
}

const BYTES = new Map(LETTERS.map((letter, byte) => [letter, String.fromCharCode(byte)]));

/** A token's bytes, one a character. */
function bytesOf(token: string, byteLevel: boolean): string {
  if (byteLevel) return Array.from(token, (letter) => BYTES.get(letter) ?? utf8(letter)).join("");
  const [, byte] = /^<0x([0-9A-F]{2})>$/.exec(token) ?? [];
  return byte ? String.fromCharCode(parseInt(byte, 16)) : utf8(token.replaceAll("▁", " "));
}
