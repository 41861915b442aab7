/** Decodes UTF-8, keeping a byte order mark; undefined if the bytes are invalid, instead of text with U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Encodes a text as UTF-8 and returns a string with one character per byte, U+0000 to U+00FF. */
export const utf8ByteString = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
