import { Tiktoken } from "js-tiktoken/lite";
import { InputError } from "../util/errors.js";
import { formatValue } from "../util/format.js";
import { mustBe } from "../util/json.js";
import { utf8ByteString } from "../util/utf8.js";
import { bytePairMerge } from "./byte-pair-merge.js";
import { LLAMA3_PATTERN } from "./pre-tokenization.js";
import { Tokenizer } from "./tokenizer.js";

/** Meta's tokenizer.py first splits texts of this length, and runs of whitespace or of other characters of that length. */
const SEGMENT = /[^]{1,400000}/gu;
const RUNS = /(?<whitespace>\p{White_Space}{1,25000})|\P{White_Space}{1,25000}/gu;

/** UTF-16 units of the longest pre-token that js-tiktoken merges; its time grows with the square of the length. */
const MAX_SHORT = 16;

/** Special tokens with a purpose, by their position after the last rank; the others are numbered reserves. */
const NAMED_SPECIALS = new Map([
  [0, "<|begin_of_text|>"],
  [1, "<|end_of_text|>"],
  [4, "<|finetune_right_pad_id|>"],
  [6, "<|start_header_id|>"],
  [7, "<|end_header_id|>"],
  [8, "<|eom_id|>"],
  [9, "<|eot_id|>"],
  [10, "<|python_tag|>"],
]);

/** The 256 special tokens in the order of their ids, named as in Llama 3.2's tokenizer.json. */
function specialTokens(): string[] {
  let reserves = 0;
  return Array.from(
    { length: 256 },
    (_, n) => NAMED_SPECIALS.get(n) ?? `<|reserved_special_token_${reserves++}|>`,
  );
}

/**
 * Reads Llama 3's tokenizer from Meta's `tokenizer.model`. A token's id is its rank; the 256 special tokens follow.
 * js-tiktoken merges bytes; pre-tokenization, special tokens and long pre-tokens are handled here.
 *
 * @param model the file's text
 * @param options.source the file's name in errors
 * @param options.stopIds ids of the stop tokens; by default those of Meta's tokenizer.py, `<|end_of_text|>` and `<|eot_id|>`
 * @throws InputError for a malformed file
 */
export function readTokenizerModel(
  model: string,
  { source = "tokenizer.model", stopIds }: { source?: string; stopIds?: Iterable<number> } = {},
): Tokenizer {
  const ranked = readRanks(model, source);
  const ids = new Map(ranked.map((token, rank) => [token, rank]));
  const names = specialTokens();
  const specials = new Map(names.map((name, n) => [name, ranked.length + n]));
  // js-tiktoken is told of no special tokens, so that it finds none in a text.
  const ranks = `! 0 ${ranked.map((token) => btoa(token)).join(" ")}`;
  const tiktoken = new Tiktoken({ pat_str: LLAMA3_PATTERN.source, special_tokens: {}, bpe_ranks: ranks });

  const encode = (text: string): number[] => {
    const encoded: number[] = [];
    for (const segment of segments(text)) {
      for (const [preToken] of segment.matchAll(LLAMA3_PATTERN)) {
        const isLong = preToken.length > MAX_SHORT;
        for (const id of isLong ? bytePairMerge(utf8ByteString(preToken), ids) : tiktoken.encode(preToken)) {
          encoded.push(id);
        }
      }
    }
    return encoded;
  };
  const idOf = (name: string) => specials.get(name)!;
  const flags = { special: true, normalized: false, lstrip: false, rstrip: false, singleWord: false };
  const added = Array.from(specials, ([content, id]) => ({ id, content, ...flags }));
  const parts = { tokens: [...ranked, ...names], specials, added, encode, bosId: idOf("<|begin_of_text|>") };
  return new Tokenizer(parts, stopIds ?? [idOf("<|end_of_text|>"), idOf("<|eot_id|>")]);
}

/** The segments that Meta's tokenizer.py encodes one by one; a text below its limits is one segment. */
function* segments(text: string): Generator<string> {
  for (const [segment] of text.matchAll(SEGMENT)) {
    let start = 0;
    let previous: boolean | undefined;
    for (const { index, groups } of segment.matchAll(RUNS)) {
      const isWhitespace = groups?.["whitespace"] !== undefined;
      if (isWhitespace === previous) {
        // Two runs of one kind in a row: the first has the maximum length.
        yield segment.slice(start, index);
        start = index;
      }
      previous = isWhitespace;
    }
    yield segment.slice(start);
  }
}

/**
 * Parses a `tokenizer.model`: a line `<bytes in base64> <rank>` for each token.
 *
 * @returns the bytes of every rank, one per character
 * @throws InputError for a malformed line, and for missing or duplicate ranks or bytes
 */
function readRanks(model: string, source: string): string[] {
  const tokens = new Map<number, string>();
  const ranks = new Map<string, number>();
  for (const [n, line] of model.split(/\r?\n/).entries()) {
    if (line === "") continue;
    const where = `${source}, line ${n + 1}`;
    const { token, rank } = readLine(line, where);
    if (tokens.has(rank)) throw new InputError(`${where} must have a rank of its own, got ${rank} again`);
    if (ranks.has(token)) {
      throw new InputError(
        `${where} must have bytes of its own, got ${formatValue(btoa(token))} again, which has rank ${ranks.get(token)}`,
      );
    }
    tokens.set(rank, token);
    ranks.set(token, rank);
  }
  if (ranks.size === 0)
    throw new InputError(`${source} must have lines "<base64> <rank>", got an empty file`);
  // js-tiktoken silently drops bytes without a rank.
  for (let byte = 0; byte < 256; byte++) {
    if (!ranks.has(String.fromCharCode(byte))) {
      throw new InputError(`${source} must have a rank for each of the 256 bytes, but byte ${byte} has none`);
    }
  }
  const { size } = tokens;
  return Array.from({ length: size }, (_, rank) => {
    const token = tokens.get(rank);
    if (token !== undefined) return token;
    throw new InputError(
      `${source} must have ranks 0 to ${size - 1} for its ${size} tokens, but ${rank} is missing`,
    );
  });
}

function readLine(line: string, where: string): { token: string; rank: number } {
  const [, base64, rank] = /^(\S+) (\d+)$/.exec(line) ?? [];
  if (base64 === undefined || rank === undefined) throw mustBe(where, '"<base64> <rank>"', line);
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64)) {
    throw mustBe(`${where}: the token`, "base64", base64);
  }
  return { token: atob(base64), rank: Number(rank) };
}
