import { InputError } from "../util/errors.js";
import type { Cuts } from "./pre-tokenization.js";
import type { TokensOfFile } from "./tokenizer-json-tokens.js";
import { utf8ByteString } from "../util/utf8.js";

/**
 * The bytes that have no token and no unk_token to stand for them, such as control characters in SmolLM2. Python's
 * `tokenizers` leaves them out of a text without a word; here such a text is refused.
 *
 * @throws InputError for a file that has neither tokens for bytes nor one for what is unknown
 */
export function bytesWithout(
  { vocab, part }: TokensOfFile,
  specials: ReadonlyMap<string, number>,
  { byteLevel }: Cuts,
  source: string,
): ReadonlySet<number> {
  if (typeof part["unk_token"] === "string") return new Set();
  if (!byteLevel && part["byte_fallback"] !== true)
    throw new InputError(
      `${source} has neither bytes to fall back on nor an unk_token, expected one of them`,
    );
  const hasToken = (byte: number): boolean => {
    const token = byteLevel ? LETTERS[byte]! : byteToken(byte);
    return vocab.has(token) && !specials.has(token);
  };
  return new Set([...LETTERS.keys()].filter((byte) => !hasToken(byte)));
}

/** Refuses a text with a byte that would be left out. Throws InputError for it. */
export function checkText(text: string, missing: ReadonlySet<number>, source: string): void {
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
export function bytesOf(token: string, byteLevel: boolean): string {
  if (byteLevel) return Array.from(token, (letter) => BYTES.get(letter) ?? utf8ByteString(letter)).join("");
  const [, byte] = /^<0x([0-9A-F]{2})>$/.exec(token) ?? [];
  return byte ? String.fromCharCode(parseInt(byte, 16)) : utf8ByteString(token.replaceAll("▁", " "));
}
