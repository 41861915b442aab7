import { InputError } from "../util/errors.js";
import { utf8ByteString } from "../util/utf8.js";
import type { PreTokenizer } from "./pre-tokenization.js";
import type { Vocabulary } from "./tokenizer-json-vocabulary.js";

/** The character of each byte in byte-level token strings: itself if it is printable, otherwise one from U+0100 on. */
const CHARACTERS: string[] = [];
for (let byte = 0, standIns = 0; byte < 256; byte++) {
  const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  CHARACTERS.push(String.fromCharCode(isPrintable ? byte : 256 + standIns++));
}

const BYTES = new Map(CHARACTERS.map((character, byte) => [character, String.fromCharCode(byte)]));

/** "<0x0A>", SentencePiece's token string of the byte 10. */
const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

/** The bytes of a token string, one per character. */
export function bytesOf(token: string, byteLevel: boolean): string {
  if (byteLevel)
    return Array.from(token, (character) => BYTES.get(character) ?? utf8ByteString(character)).join("");
  const [, byte] = /^<0x([0-9A-F]{2})>$/.exec(token) ?? [];
  return byte ? String.fromCharCode(parseInt(byte, 16)) : utf8ByteString(token.replaceAll("▁", " "));
}

/**
 * The bytes without a token and without an unk_token to represent them, such as control characters in SmolLM2. Python's
 * `tokenizers` silently drops them from a text; here such a text is rejected.
 *
 * @throws InputError for a vocabulary that has neither tokens for bytes nor an unk_token
 */
export function bytesWithoutToken(
  { model, vocab }: Vocabulary,
  specials: ReadonlyMap<string, number>,
  { byteLevel }: PreTokenizer,
  source: string,
): ReadonlySet<number> {
  if (typeof model["unk_token"] === "string") return new Set();
  if (!byteLevel && model["byte_fallback"] !== true) {
    throw new InputError(
      `${source} must have an unk_token, byte_fallback or a ByteLevel pre_tokenizer, got none`,
    );
  }
  const hasToken = (byte: number): boolean => {
    const token = byteLevel ? CHARACTERS[byte]! : byteToken(byte);
    return vocab.has(token) && !specials.has(token);
  };
  return new Set([...CHARACTERS.keys()].filter((byte) => !hasToken(byte)));
}

/** Throws InputError for a text with one of the bytes. */
export function rejectBytes(bytes: ReadonlySet<number>, text: string, source: string): void {
  if (bytes.size === 0) return;
  for (const byte of new TextEncoder().encode(text)) {
    if (bytes.has(byte)) {
      throw new InputError(
        `${source} must have a token for each byte of the text, but has none for ${byteToken(byte)}`,
      );
    }
  }
}
