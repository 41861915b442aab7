import { InputError } from "../util/errors.js";
import { isObject, formatValue } from "../util/format.js";
import { PIECES } from "./tiktoken.js";

/** GPT-2's cuts, which SmolLM2 has too: https://github.com/openai/gpt-2/blob/master/src/encoder.py, with `\s` spelled out. */
const GPT2 = [
  "'(?:[stmd]|re|ve|ll)", // contractions
  " ?\\p{L}+", // a word, and the one blank before it
  " ?\\p{N}+",
  " ?[^\\p{White_Space}\\p{L}\\p{N}]+",
  "\\p{White_Space}+(?!\\P{White_Space})", // blanks, but for the one a word takes
  "\\p{White_Space}+",
].join("|");

/**
 * The patterns that may stand in a file, and the same in the words of JavaScript. Any other is refused: a pattern is a
 * program for Oniguruma, which JavaScript's backend may read otherwise, or run for hours.
 */
const KNOWN_PATTERNS = new Map([
  [
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    PIECES.source, // Llama 3
  ],
  [String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, GPT2],
]);

/** A part of tokenizer.json: a JSON object with a type. */
export type Part = Readonly<Record<string, unknown>>;

/** How a text is changed and cut before its pieces are merged, as `@huggingface/tokenizers` does it right. */
export interface Cuts {
  readonly normalizer: Part | null;
  readonly preTokenizer: Part | null;
  /** Whether tokens are bytes, each written as a letter that prints; otherwise they are characters, "▁" for a blank. */
  readonly byteLevel: boolean;
}

/**
 * Takes over a file's `normalizer` and `pre_tokenizer` where they are of the kinds that Llamas have. Three parts of
 * `@huggingface/tokenizers` 0.2.0 differ from Python's `tokenizers` and are put in other words: `Digits` sees only 0 to
 * 9 there, `ByteLevel`'s own pattern has JavaScript's `\s`, and `(?i:'s)` misses `ſ`.
 *
 * @param source the file's name, for errors
 * @throws InputError for a kind that is not known to be right
 */
export function readCuts(normalizer: unknown, preTokenizer: unknown, source: string): Cuts {
  const before = sequence(normalizer, "normalizers", `${source}: normalizer`);
  const parts = sequence(preTokenizer, "pretokenizers", `${source}: pre_tokenizer`);
  const cuts = parts.flatMap((part) => cut(part, `${source}: pre_tokenizer`));
  return {
    normalizer: joined(
      "normalizers",
      before.map((part) => change(part, `${source}: normalizer`)),
    ),
    preTokenizer: joined("pretokenizers", cuts),
    byteLevel: parts.some(({ type }) => type === "ByteLevel"),
  };
}

/** What happens to the whole text. */
function change(part: Part, where: string): Part {
  const { type, prepend, pattern, content } = part;
  if (type === "NFC") return { type };
  if (type === "Prepend") {
    if (prepend === "▁") return { type, prepend };
    throw new InputError(`${where} prepends ${formatValue(prepend)}, expected "▁"`);
  }
  if (type === "Replace") {
    if (isObject(pattern) && pattern["String"] === " " && content === "▁")
      return { type, pattern: { String: " " }, content };
    throw new InputError(
      `${where} replaces ${formatValue(isObject(pattern) ? pattern["String"] : pattern)} by ${formatValue(content)}, expected " " by "▁"`,
    );
  }
  throw new InputError(`${where} has the type ${formatValue(type)}, expected Prepend, Replace or NFC`);
}

/** Where the text is cut. */
function cut(part: Part, where: string): Part[] {
  const { type } = part;
  const only = (key: string, expected: unknown, fallback: unknown): void => {
    if ((part[key] ?? fallback) === expected) return;
    throw new InputError(
      `${where} of type ${String(type)}: ${key} is ${formatValue(part[key])}, expected ${formatValue(expected)}`,
    );
  };
  switch (type) {
    case "ByteLevel": {
      only("add_prefix_space", false, true);
      const bytes = { type, add_prefix_space: false, use_regex: false };
      return (part["use_regex"] ?? true) === true ? [split(GPT2), bytes] : [bytes];
    }
    case "Digits":
      return [split(part["individual_digits"] === true ? "\\p{N}" : "\\p{N}+")];
    case "Split": {
      only("behavior", "Isolated", undefined);
      only("invert", false, false);
      const { Regex } = isObject(part["pattern"]) ? part["pattern"] : {};
      const known = KNOWN_PATTERNS.get(String(Regex));
      if (known) return [split(known)];
      throw new InputError(
        `${where} cuts at ${formatValue(Regex ?? part["pattern"])}, expected Llama 3's pattern or GPT-2's`,
      );
    }
    case "Metaspace": {
      only("replacement", "▁", "▁");
      only("split", false, true);
      const { prepend_scheme } = part;
      if (prepend_scheme === "always" || prepend_scheme === "first" || prepend_scheme === "never") {
        return [{ type, replacement: "▁", prepend_scheme }];
      }
      throw new InputError(
        `${where} of type Metaspace: prepend_scheme is ${formatValue(prepend_scheme)}, expected "first"`,
      );
    }
    default:
      throw new InputError(
        `${where} has the type ${formatValue(type)}, expected ByteLevel, Digits, Split or Metaspace`,
      );
  }
}

const split = (pattern: string): Part => ({
  type: "Split",
  pattern: { Regex: pattern },
  behavior: "Isolated",
  invert: false,
});

/** The parts of a sequence, which may be one or none. */
function sequence(value: unknown, key: string, where: string): Part[] {
  if (value === null || value === undefined) return [];
  if (!isObject(value))
    throw new InputError(`${where} is ${formatValue(value)}, expected a JSON object or null`);
  if (value["type"] !== "Sequence") return [value];
  const parts: unknown = value[key];
  if (Array.isArray(parts) && parts.every(isObject)) return parts;
  throw new InputError(`${where}.${key} is ${formatValue(parts)}, expected a list of JSON objects`);
}

const joined = (key: string, parts: readonly Part[]): Part | null =>
  parts.length === 0 ? null : { type: "Sequence", [key]: parts };
