/** The bytes of each token, which may be a part of a character. */
interface TokenBytes {
  bytes(id: number): Uint8Array;
}

/** Decodes ids one by one. A character whose bytes are in several tokens is returned with the last of them. */
export class TextStream {
  private readonly tokenizer: TokenBytes;
  // Without ignoreBOM a text that begins with U+FEFF would lose it.
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(tokenizer: TokenBytes) {
    this.tokenizer = tokenizer;
  }

  /** The text that is complete with this id; empty inside of a character. */
  push(id: number): string {
    return this.decoder.decode(this.tokenizer.bytes(id), { stream: true });
  }

  /** The rest after the last id: U+FFFD for an incomplete character, otherwise nothing. */
  end(): string {
    return this.decoder.decode();
  }
}
