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

/** GPT-2's pattern, also SmolLM2's: https://github.com/openai/gpt-2/blob/master/src/encoder.py. */
const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** Mistral's pattern since Nemo ("tekken"): words begin where case changes, and digits are single. */
const TEKKEN = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** DeepSeek LLM's five patterns, which split a text one after the other: line ends, letters, signs, spaces, CJK. */
const DEEPSEEK = [
  "[\r\n]",
  "\\s?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373" +
    "\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F" +
    "\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77" +
    "\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D" +
    "\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4" +
    "\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139" +
    "\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D" +
    "\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A" +
    "\uFF41-\uFF5A\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}" +
    "\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}]+",
  "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+",
  "\\s+$",
  "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
];

/** A pattern in JavaScript's syntax: Unicode's White_Space for `\s`, and `$` also before a line end. */
const translate = (pattern: string): string =>
  pattern
    .replaceAll("\\s", "\\p{White_Space}")
    .replaceAll("\\S", "\\P{White_Space}")
    .replace(/\$$/, "(?=\\n|$)");

/**
 * The patterns that a tokenizer.json may contain, and the same in JavaScript's syntax. Others are rejected: a pattern is a
 * program for Oniguruma, which JavaScript may interpret differently, or run for hours.
 */
const PATTERNS = new Map([
  [
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    LLAMA3_PATTERN.source,
  ],
  ...[GPT2, TEKKEN, ...DEEPSEEK].map((pattern) => [pattern, translate(pattern)] as const),
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

const PATTERN = object({
  Regex: v.picklist([...PATTERNS.keys()], "a known pattern (Llama 3's, GPT-2's, tekken, DeepSeek LLM's)"),
});
const SCHEMES = ["always", "first", "never"] as const;
const ISOLATED = v.literal("Isolated", '"Isolated"');
const PRE_TOKENIZER = v.variant(
  "type",
  [
    component("ByteLevel", { add_prefix_space: FALSE, use_regex: v.nullish(FLAG, true) }),
    component("Digits", { individual_digits: v.nullish(FLAG, false) }),
    component("Split", { pattern: PATTERN, behavior: ISOLATED, invert: v.nullish(FALSE, false) }),
    component("Punctuation", { behavior: v.literal("Contiguous", '"Contiguous"') }),
    component("Metaspace", {
      replacement: v.nullish(SPACE, "▁"),
      split: FALSE,
      prepend_scheme: v.picklist(SCHEMES, '"always", "first" or "never"'),
    }),
  ],
  '"ByteLevel", "Digits", "Split", "Punctuation" or "Metaspace"',
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
      return part.use_regex ? [split(translate(GPT2)), bytes] : [bytes];
    }
    case "Digits":
      return [split(part.individual_digits ? "\\p{N}" : "\\p{N}+")];
    case "Split":
      return [split(PATTERNS.get(part.pattern.Regex)!)];
    case "Punctuation":
      return [split("[\\p{P}$+<=>^`|~]+")];
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
