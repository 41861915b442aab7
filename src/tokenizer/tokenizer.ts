import { InputError } from "../util/errors.js";
import { tiktokenParts } from "./tiktoken.js";

/** What a tokenizer is made of, whichever file it comes from. */
export interface TokenizerParts {
  /** The bytes of every id, one a character; a special token's are its name. */
  readonly tokens: readonly string[];
  /** The special tokens' ids by name. */
  readonly specials: ReadonlyMap<string, number>;
  /** The ids of a text in which nothing is special; `continues` says whether other tokens stand before it. */
  readonly encode: (text: string, continues: boolean) => number[];
  /** The id that starts every text, if one does. */
  readonly bosId: number | undefined;
}

/**
 * Text to ids and back. A checkpoint has its tokenizer in one of two files: Meta's `tokenizer.model` (tiktoken.ts), or
 * Hugging Face's `tokenizer.json` (tokenizer-json.ts).
 */
export class Tokenizer {
  /** Number of ids: 128,256 in Llama 3. */
  readonly vocabSize: number;
  /** The id that starts every text, `<|begin_of_text|>` in Llama 3; undefined in models that have none, such as SmolLM2. */
  readonly bosId: number | undefined;
  /** The ids that end a generation. */
  readonly stopIds: ReadonlySet<number>;

  /**
   * @param embeddings for how many tokens the model has one, often a few more than there are, for the sake of even
   *        sizes: it may choose an id that means nothing
   */
  constructor(
    private readonly parts: TokenizerParts,
    stopIds: Iterable<number>,
    private readonly embeddings: number = parts.tokens.length,
  ) {
    this.vocabSize = parts.tokens.length;
    this.bosId = parts.bosId;
    this.stopIds = new Set(stopIds);
  }

  /**
   * Reads a Llama 3 `tokenizer.model`.
   *
   * `source` names the file in errors. `stopIds` are a checkpoint's own; without them they are the `stop_tokens` of
   * Meta's llama3/tokenizer.py, `<|end_of_text|>` and `<|eot_id|>`.
   */
  static fromTiktoken(
    model: string,
    options: { source?: string; stopIds?: Iterable<number> } = {},
  ): Tokenizer {
    const parts = tiktokenParts(model, options.source ?? "tokenizer.model");
    const metas = ["<|end_of_text|>", "<|eot_id|>"].map((name) => parts.specials.get(name)!);
    return new Tokenizer(parts, options.stopIds ?? metas);
  }

  /**
   * The ids of a text, after the one that starts every text unless `bos` is false. A special token's name is text like
   * any other: what a user types cannot end a turn. Half a surrogate pair becomes U+FFFD, as in `TextEncoder`.
   *
   * `continues` says that other tokens stand before the text: some tokenizers put a blank before the first word, but only
   * where a text begins.
   */
  encode(
    text: string,
    { bos = true, continues = false }: { bos?: boolean; continues?: boolean } = {},
  ): number[] {
    const ids = this.parts.encode(text, continues);
    if (bos && this.bosId !== undefined) ids.unshift(this.bosId);
    return ids;
  }

  /**
   * The text of ids; special tokens are written as their names. Bytes that are no UTF-8 become U+FFFD. Ids for which the
   * model has an embedding and the tokenizer no token have no text, as in transformers.
   */
  decode(ids: readonly number[]): string {
    const stream = new TextStream(this);
    return ids.map((id) => stream.push(id)).join("") + stream.end();
  }

  /** The bytes of one token: a part of a character, a character, or more; none where the model alone knows the id. */
  bytes(id: number): Uint8Array {
    const idle = Number.isInteger(id) && id >= this.vocabSize && id < this.embeddings;
    const token = idle ? "" : this.parts.tokens[id];
    if (token === undefined)
      throw new InputError(`token id ${id} is unknown, expected 0 to ${this.embeddings - 1}`);
    return Uint8Array.from(token, (byte) => byte.charCodeAt(0));
  }

  /** The id of a special token, such as `<|eot_id|>`. */
  special(name: string): number {
    const id = this.parts.specials.get(name);
    if (id === undefined)
      throw new InputError(`"${name}" is no special token, expected a name such as "<|eot_id|>"`);
    return id;
  }

  /** Whether there is a special token of that name. */
  hasSpecial(name: string): boolean {
    return this.parts.specials.has(name);
  }
}

/** Turns ids into text as they come. A character whose bytes are spread over tokens is held back until its last one. */
export class TextStream {
  private readonly tokenizer: Tokenizer;
  // Without ignoreBOM a text that begins with U+FEFF would lose it.
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
  }

  /** The text that is complete with this id; empty while a character is not. */
  push(id: number): string {
    return this.decoder.decode(this.tokenizer.bytes(id), { stream: true });
  }

  /** What was held back when the ids ended: U+FFFD for a character cut short, otherwise nothing. */
  end(): string {
    return this.decoder.decode();
  }
}
