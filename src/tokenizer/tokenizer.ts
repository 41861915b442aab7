import { mustBe } from "../util/json.js";
import { TextStream } from "./text-stream.js";

/** The contents of a tokenizer, whichever file they come from. */
export interface TokenizerParts {
  /** The bytes of every id, one per character; those of a special token are its name. */
  readonly tokens: readonly string[];
  /** The special tokens' ids by name. */
  readonly specials: ReadonlyMap<string, number>;
  /** All tokens that transformers finds in a text before it merges the rest; the special ones are among them. */
  readonly added: readonly AddedToken[];
  /**
   * The ids of a text in which nothing is special; `continues` says whether other tokens precede it, `plain` whether
   * the added tokens that are not special are ordinary text too.
   */
  readonly encode: (text: string, continues: boolean, plain: boolean) => number[];
  /** The id that begins every text, if there is one. */
  readonly bosId: number | undefined;
}

/** Options of `encode`. */
interface EncodeOptions {
  readonly bos?: boolean;
  readonly continues?: boolean;
  readonly plain?: boolean;
}

/** A token that is special, or not part of the merged vocabulary. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** True if texts are searched for it after normalization. */
  readonly normalized: boolean;
  /** True if it takes up the whitespace on its left or right. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** True if it is only found between words. */
  readonly singleWord: boolean;
}

/**
 * Converts text to token ids and back. A checkpoint has its tokenizer in one of two formats: Meta's `tokenizer.model`
 * (tiktoken.ts), or Hugging Face's `tokenizer.json` (tokenizer-json.ts).
 */
export class Tokenizer {
  /** Number of ids: 128,256 in Llama 3. */
  readonly vocabSize: number;
  /** The id that begins every text, `<|begin_of_text|>` in Llama 3; undefined in models without one, such as SmolLM2. */
  readonly bosId: number | undefined;
  /** The ids of the stop tokens. */
  readonly stopIds: ReadonlySet<number>;

  /**
   * @param embeddings rows of the model's embedding, often padded to a round number: the model may generate ids that have
   *        no token
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

  /** The tokens that transformers finds in a text before it merges the rest, special or not. */
  get added(): readonly AddedToken[] {
    return this.parts.added;
  }

  /**
   * Encodes a text. Special tokens' names in it are ordinary text, so that a user's text cannot end a turn of a chat. Half
   * a surrogate pair becomes U+FFFD, as in `TextEncoder`.
   *
   * @param options.bos whether `bosId` comes first
   * @param options.continues whether other tokens precede the text: some tokenizers put a space before the first word, but
   *        only at the beginning
   * @param options.plain whether the added tokens that are not special are ordinary text too, as control tokens are in a chat
   * @throws InputError for a text with bytes that the vocabulary lacks
   */
  encode(text: string, { bos = true, continues = false, plain = false }: EncodeOptions = {}): number[] {
    const ids = this.parts.encode(text, continues, plain);
    if (bos && this.bosId !== undefined) ids.unshift(this.bosId);
    return ids;
  }

  /**
   * Decodes ids; special tokens become their names, and bytes that are not UTF-8 become U+FFFD. Ids without a token have
   * no text, as in transformers.
   *
   * @throws InputError for an id outside of the model's embedding
   */
  decode(ids: readonly number[]): string {
    const stream = new TextStream(this);
    return ids.map((id) => stream.push(id)).join("") + stream.end();
  }

  /**
   * The bytes of one token: a part of a character or several characters; none for an id without a token.
   *
   * @throws InputError for an id outside of the model's embedding
   */
  bytes(id: number): Uint8Array {
    if (!Number.isInteger(id) || id < 0 || id >= this.embeddings) {
      throw mustBe("the token id", `0 to ${this.embeddings - 1}`, id);
    }
    return Uint8Array.from(this.parts.tokens[id] ?? "", (byte) => byte.charCodeAt(0));
  }

  /**
   * The id of a special token, such as `<|eot_id|>`.
   *
   * @throws InputError if there is no such token
   */
  special(name: string): number {
    const id = this.parts.specials.get(name);
    if (id === undefined) throw mustBe("the special token", 'a name such as "<|eot_id|>"', name);
    return id;
  }
}
