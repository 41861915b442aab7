import { Tiktoken } from "js-tiktoken/lite";
import { bytePairMerge } from "./byte-pair-merge.js";
import { readRanks } from "./tiktoken-ranks.js";
import type { TokenizerParts } from "./tokenizer.js";
import { utf8ByteString } from "../util/utf8.js";

/**
 * Where a text may be cut before its bytes are merged; no token reaches across a cut. It is `pat_str` of
 * https://github.com/meta-llama/llama3/blob/main/llama/tokenizer.py in JavaScript's spelling. Node 20 has no `(?i:...)`,
 * so both cases are written out, and `ſ`, which is an `s` when case is ignored. Meta's `\s` is White_Space here, because
 * JavaScript's `\s` has U+FEFF in it and lacks U+0085.
 */
export const PIECES = new RegExp(
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
 * Llama 3's tokenizer from Meta's `tokenizer.model`: a line for every token, `<its bytes in base64> <its rank>`. An id
 * below the number of ranks is a token's rank; the 256 special tokens follow. js-tiktoken merges the bytes; ours are the
 * cuts, the special tokens and the pieces too long for it.
 *
 * @param source the file's name, for errors
 * @throws InputError for a file that breaks the format
 */
export function tiktokenParts(model: string, source: string): TokenizerParts {
  const ranked = readRanks(model, source);
  const ids = new Map(ranked.map((token, rank) => [token, rank]));
  const names = specialTokens();
  const specials = new Map(names.map((name, n) => [name, ranked.length + n]));
  // js-tiktoken learns of no special token, so that it finds none in a text.
  const ranks = `! 0 ${ranked.map((token) => btoa(token)).join(" ")}`;
  const tiktoken = new Tiktoken({ pat_str: PIECES.source, special_tokens: {}, bpe_ranks: ranks });

  const encode = (text: string): number[] => {
    const encoded: number[] = [];
    for (const stretch of stretches(text)) {
      for (const [piece] of stretch.matchAll(PIECES)) {
        // js-tiktoken cuts again, but a piece has no cut inside.
        const merged =
          piece.length > LONG_PIECE ? bytePairMerge(utf8ByteString(piece), ids) : tiktoken.encode(piece);
        for (const id of merged) encoded.push(id);
      }
    }
    return encoded;
  };
  return { tokens: [...ranked, ...names], specials, encode, bosId: specials.get("<|begin_of_text|>") };
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
