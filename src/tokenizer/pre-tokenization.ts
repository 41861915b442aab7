import * as v from "valibot";
import { isObject } from "../util/format.js";
import { checkJson, mustBe } from "../util/json.js";

// Pre-tokenization splits a text into pre-tokens, whose bytes or characters are merged each on its own: no token reaches
// from one into the next.

/**
 * Llama 3's pattern of a pre-token: `pat_str` of https://github.com/meta-llama/llama3/blob/main/llama/tokenizer.py in
 * JavaScript's syntax. Node 20 has no `(?i:...)`, so both cases are spelled out, and `ſ`, which is an `s` when case is
 * ignored. Meta's `\s` is White_Space here, because JavaScript's `\s` includes U+FEFF and lacks U+0085.
 */
export const LLAMA3_PATTERN = new RegExp(
  [
    /'(?:[sSſtTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])/u, // I'm, we'LL
    /[^\r\n\p{L}\p{N}]?\p{L}+/u, //                    a word, and one space or symbol before it
    /\p{N}{1,3}/u, //                                  up to three digits
    / ?[^\p{White_Space}\p{L}\p{N}]+[\r\n]*/u, //      symbols, and the line ends after them
    /\p{White_Space}*[\r\n]+/u, //                     line ends, and the whitespace before them
    /\p{White_Space}+(?!\P{White_Space})/u, //         whitespace, except the one character that belongs to a word
    /\p{White_Space}+/u,
  ]
    .map((alternative) => alternative.source)
    .join("|"),
  "gu",
);

/** GPT-2's pattern, also SmolLM2's: https://github.com/openai/gpt-2/blob/master/src/encoder.py, with White_Space for `\s`. */
const GPT2_PATTERN = [
  "'(?:[stmd]|re|ve|ll)", // contractions
  " ?\\p{L}+", // a word, and one space before it
  " ?\\p{N}+",
  " ?[^\\p{White_Space}\\p{L}\\p{N}]+",
  "\\p{White_Space}+(?!\\P{White_Space})", // whitespace, except the one character that belongs to a word
  "\\p{White_Space}+",
].join("|");

/**
 * The patterns that a tokenizer.json may contain, and the same in JavaScript's syntax. Others are rejected: a pattern is a
 * program for Oniguruma, which JavaScript may interpret differently, or run for hours.
 */
const PATTERNS = new Map([
  [
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    LLAMA3_PATTERN.source,
  ],
  [String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, GPT2_PATTERN],
]);

/** A component of a tokenizer.json: a JSON object with a type. */
export type Component = Readonly<Record<string, unknown>>;

/** Normalization and pre-tokenization, in components that `@huggingface/tokenizers` applies correctly. */
export interface PreTokenizer {
  readonly normalizer: Component | null;
  readonly preTokenizer: Component | null;
  /** True if a token string has one printable character per byte; otherwise it is text, with "▁" for a space. */
  readonly byteLevel: boolean;
}

const SPACE = v.literal("▁", '"▁"');
const FALSE = v.literal(false, "false");
const FLAG = v.boolean("true or false");
const object = <const E extends v.ObjectEntries>(entries: E) => v.object(entries, "present");
const component = <const T extends string, const E extends v.ObjectEntries>(type: T, settings: E) =>
  object({ ...settings, type: v.literal(type) });

const REPLACED = object({ String: v.literal(" ", '" "') });
const NORMALIZER = v.variant(
  "type",
  [
    component("NFC", {}),
    component("Prepend", { prepend: SPACE }),
    component("Replace", { pattern: REPLACED, content: SPACE }),
  ],
  '"NFC", "Prepend" or "Replace"',
);

const PATTERN = object({ Regex: v.picklist([...PATTERNS.keys()], "Llama 3's pattern or GPT-2's") });
const SCHEMES = ["always", "first", "never"] as const;
const ISOLATED = v.literal("Isolated", '"Isolated"');
const PRE_TOKENIZER = v.variant(
  "type",
  [
    component("ByteLevel", { add_prefix_space: FALSE, use_regex: v.nullish(FLAG, true) }),
    component("Digits", { individual_digits: v.nullish(FLAG, false) }),
    component("Split", { pattern: PATTERN, behavior: ISOLATED, invert: v.nullish(FALSE, false) }),
    component("Metaspace", {
      replacement: v.nullish(SPACE, "▁"),
      split: FALSE,
      prepend_scheme: v.picklist(SCHEMES, '"always", "first" or "never"'),
    }),
  ],
  '"ByteLevel", "Digits", "Split" or "Metaspace"',
);

/**
 * Reads the `normalizer` and `pre_tokenizer` of a tokenizer.json, if they are of the types that Llama models have. Three
 * components of `@huggingface/tokenizers` 0.2.0 differ from Python's `tokenizers` and are replaced: its `Digits` knows only
 * 0 to 9, `ByteLevel`'s own pattern has JavaScript's `\s`, and `(?i:'s)` misses `ſ`.
 *
 * @param source the file's name in errors
 * @throws InputError for a type or setting that was not compared with Python's
 */
export function readPreTokenizer(normalizer: unknown, preTokenizer: unknown, source: string): PreTokenizer {
  const normalizers = componentsOf(normalizer, "normalizers", `${source}: normalizer`).map((part) =>
    checkJson(NORMALIZER, part, `${source}: normalizer.`),
  );
  const preTokenizers = componentsOf(preTokenizer, "pretokenizers", `${source}: pre_tokenizer`).map((part) =>
    checkJson(PRE_TOKENIZER, part, `${source}: pre_tokenizer.`),
  );
  return {
    normalizer: normalizers.length > 0 ? { type: "Sequence", normalizers } : null,
    preTokenizer:
      preTokenizers.length > 0
        ? { type: "Sequence", pretokenizers: preTokenizers.flatMap(libraryComponents) }
        : null,
    byteLevel: preTokenizers.some(({ type }) => type === "ByteLevel"),
  };
}

/** Components of the library that together do what one of Python's does. */
function libraryComponents(part: v.InferOutput<typeof PRE_TOKENIZER>): Component[] {
  switch (part.type) {
    case "ByteLevel": {
      const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
      return part.use_regex ? [split(GPT2_PATTERN), bytes] : [bytes];
    }
    case "Digits":
      return [split(part.individual_digits ? "\\p{N}" : "\\p{N}+")];
    case "Split":
      return [split(PATTERNS.get(part.pattern.Regex)!)];
    case "Metaspace": {
      const { type, replacement, prepend_scheme } = part;
      return [{ type, replacement, prepend_scheme }];
    }
  }
}

const split = (pattern: string): Component => ({
  type: "Split",
  pattern: { Regex: pattern },
  behavior: "Isolated",
  invert: false,
});

/**
 * The components of a `Sequence`, a component alone, or none for null.
 *
 * @param key of a sequence's list
 * @throws InputError for any other value
 */
export function componentsOf(value: unknown, key: string, what: string): Component[] {
  if (value === null || value === undefined) return [];
  if (!isObject(value)) throw mustBe(what, "a JSON object or null", value);
  if (value["type"] !== "Sequence") return [value];
  const parts: unknown = value[key];
  if (Array.isArray(parts) && parts.every(isObject)) return parts;
  throw mustBe(`${what}.${key}`, "a list of JSON objects", parts);
}
