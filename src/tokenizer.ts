import { Tiktoken } from "js-tiktoken/lite";
import { bytePairMerge } from "./byte-pair-merge.js";
import { InputError } from "./errors.js";
import { readRanks } from "./tiktoken-ranks.js";

/**
 * Where a text may be cut before its bytes are merged; no token reaches across a cut. It is `pat_str` of
 * https://github.com/meta-llama/llama3/blob/main/llama/tokenizer.py in JavaScript's spelling. Node 20 has no `(?i:...)`,
 * so both cases are written out, and `ſ`, which is an `s` when case is ignored. Meta's `\s` is White_Space here, because
 * JavaScript's `\s` has U+FEFF in it and lacks U+0085.
 */
const PIECES = new RegExp(
  [
    /'(?:[sSſtTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])/u, // I'm, we'LL
    /[^\r\n\p{L}\p{N}]?\p{L}+/u, //                    a word, and the one blank or sign before it
    /\p{N}{1,3}/u, //                                  digits by threes
    / ?[^\p{White_Space}\p{L}\p{N}]+[\r\n]*/u, //      signs, and the line ends after them
    /\p{White_Space}*[\r\n]+/u, //                     line ends, and the blanks before them
    /\p{White_Space}+(?!\P{White_Space})/u, //         blanks, but for the one a word takes
    /\p{White_Space}+/u,
  ]
    .map((alternative) => alternative.source)
    .join("|"),
  "gu",
);

/** Meta's tokenizer.py cuts a text this long, and a run of blanks or of other characters this long, before all else. */
const STRETCH = /[^]{1,400000}/gu;
const RUNS = /(?<blanks>\p{White_Space}{1,25000})|\P{White_Space}{1,25000}/gu;

/** Pieces longer than this many UTF-16 units are merged by us: js-tiktoken's time grows with the square of that. */
const LONG_PIECE = 16;

/** The special tokens with a purpose, by their place after the last rank; the other ones are numbered reserves. */
const NAMED_SPECIALS = new Map([
  [0, "<|begin_of_text|>"],
  [1, "<|end_of_text|>"],
  [4, "<|finetune_right_pad_id|>"],
  [6, "<|start_header_id|>"],
  [7, "<|end_header_id|>"],
  [8, "<|eom_id|>"],
  [9, "<|eot_id|>"],
  [10, "<|python_tag|>"],
]);

/** The 256 special tokens in the order of their ids, named as in Llama 3.2's tokenizer.json. */
function specialTokens(): string[] {
  let reserves = 0;
  return Array.from(
    { length: 256 },
    (_, n) => NAMED_SPECIALS.get(n) ?? `<|reserved_special_token_${reserves++}|>`,
  );
}

/**
 * Llama 3's tokenizer: text to ids and back. js-tiktoken merges the bytes; ours are the cuts, the special tokens and
 * the pieces too long for it.
 *
 * An id below the number of ranks is a token's rank; the special tokens follow.
 */
export class Tokenizer {
  /** Number of ids: the ranks and 256 special tokens, 128,256 in Llama 3. */
  readonly vocabSize: number;
  /** Id of `<|begin_of_text|>`, which starts every prompt. */
  readonly bosId: number;
  /** The ids that end a generation. */
  readonly stopIds: ReadonlySet<number>;

  /** The bytes of every id, one a character; a special token's are its name. */
  private readonly tokens: readonly string[];
  private readonly ids: ReadonlyMap<string, number>;
  private readonly specials: ReadonlyMap<string, number>;
  private readonly tiktoken: Tiktoken;

  private constructor(ranked: readonly string[], stopIds: Iterable<number> | undefined) {
    const specials = specialTokens();
    this.tokens = [...ranked, ...specials];
    this.ids = new Map(ranked.map((token, rank) => [token, rank]));
    this.specials = new Map(specials.map((name, n) => [name, ranked.length + n]));
    this.vocabSize = this.tokens.length;
    this.bosId = this.special("<|begin_of_text|>");
    this.stopIds = new Set(stopIds ?? [this.special("<|end_of_text|>"), this.special("<|eot_id|>")]);
    // js-tiktoken learns of no special token, so that it finds none in a text.
    const ranks = `! 0 ${ranked.map((token) => btoa(token)).join(" ")}`;
    this.tiktoken = new Tiktoken({ pat_str: PIECES.source, special_tokens: {}, bpe_ranks: ranks });
  }

  /**
   * Reads a Llama 3 `tokenizer.model`: a line for every token, `<its bytes in base64> <its rank>`.
   *
   * `source` names the file in errors. `stopIds` are a checkpoint's own; without them they are the `stop_tokens` of
   * Meta's llama3/tokenizer.py, `<|end_of_text|>` and `<|eot_id|>`.
   */
  static fromTiktoken(
    model: string,
    options: { source?: string; stopIds?: Iterable<number> } = {},
  ): Tokenizer {
    return new Tokenizer(readRanks(model, options.source ?? "tokenizer.model"), options.stopIds);
  }

  /**
   * The ids of a text, after `<|begin_of_text|>` unless `bos` is false. A special token's name is text like any other:
   * what a user types cannot end a turn. Half a surrogate pair becomes U+FFFD, as in `TextEncoder`.
   */
  encode(text: string, { bos = true }: { bos?: boolean } = {}): number[] {
    const ids = bos ? [this.bosId] : [];
    for (const stretch of stretches(text)) {
      for (const [piece] of stretch.matchAll(PIECES)) {
        // js-tiktoken cuts again, but a piece has no cut inside.
        const merged =
          piece.length > LONG_PIECE ? bytePairMerge(utf8(piece), this.ids) : this.tiktoken.encode(piece);
        for (const id of merged) ids.push(id);
      }
    }
    return ids;
  }

  /** The text of ids; special tokens are written as their names. Bytes that are no UTF-8 become U+FFFD. */
  decode(ids: readonly number[]): string {
    const stream = new TextStream(this);
    return ids.map((id) => stream.push(id)).join("") + stream.end();
  }

  /** The bytes of one token: a part of a character, a character, or more. */
  bytes(id: number): Uint8Array {
    const token = this.tokens[id];
    if (token === undefined)
      throw new InputError(`token id ${id} is unknown, expected 0 to ${this.vocabSize - 1}`);
    return Uint8Array.from(token, (byte) => byte.charCodeAt(0));
  }

  /** The id of a special token, such as `<|eot_id|>`. */
  special(name: string): number {
    const id = this.specials.get(name);
    if (id === undefined)
      throw new InputError(`"${name}" is no special token, expected a name such as "<|eot_id|>"`);
    return id;
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

/** A text in the parts that Meta's tokenizer.py encodes one by one; shorter texts than its limits are one part. */
function* stretches(text: string): Generator<string> {
  for (const [stretch] of text.matchAll(STRETCH)) {
    let start = 0;
    let previous: boolean | undefined;
    for (const { index, groups } of stretch.matchAll(RUNS)) {
      const blanks = groups?.["blanks"] !== undefined;
      if (blanks === previous) {
        // Two runs of one kind in a row: the first of them is as long as a run may be.
        yield stretch.slice(start, index);
        start = index;
      }
      previous = blanks;
    }
    yield stretch.slice(start);
  }
}

/** The UTF-8 bytes of a piece, one a character. */
function utf8(piece: string): string {
  return Array.from(new TextEncoder().encode(piece), (byte) => String.fromCharCode(byte)).join("");
}
