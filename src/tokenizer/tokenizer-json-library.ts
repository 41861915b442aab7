import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { mergePairs } from "./byte-pair-merge.js";
import type { Cuts } from "./pre-tokenization.js";
import type { Merge, TokensOfFile } from "./tokenizer-json-tokens.js";

/** Pieces longer than this many UTF-16 units are merged by us: a million letters take the library ten to twenty seconds. */
const LONG_PIECE = 256;

/** Half a surrogate pair, which no text has here: it is replaced. */
const HALF_PAIR = "\uD800";

/**
 * Has `@huggingface/tokenizers` encode texts in which nothing is special.
 *
 * @param specials the special tokens' ids by name
 */
export function libraryEncoder(
  { part, vocab, merges, added }: TokensOfFile,
  { normalizer, preTokenizer }: Cuts,
  specials: ReadonlyMap<string, number>,
): (text: string, continues: boolean) => number[] {
  // The library would find special tokens in any text, or merge letters into one. Without them in what it knows, it
  // cannot. The one that it needs, for letters that have no token, goes by a name that no text can have in it.
  const known = new Map(vocab);
  for (const name of specials.keys()) known.delete(name);
  const allowed = merges.filter(([left, right]) => !specials.has(left + right));
  const unknownId = specials.get(String(part["unk_token"]));
  if (unknownId !== undefined) known.set(HALF_PAIR, unknownId);
  const library = new HuggingFaceTokenizer(
    {
      model: {
        ...part,
        type: "BPE",
        vocab: Object.fromEntries(known),
        merges: allowed,
        unk_token: unknownId === undefined ? part["unk_token"] : HALF_PAIR,
      },
      normalizer,
      pre_tokenizer: preTokenizer,
      post_processor: null,
      decoder: null,
      added_tokens: added.filter(({ content }) => !specials.has(content)),
    },
    {},
  ) as Library;
  mergeLongPieces(library.model, allowed);
  const cutContinuation = continuationCuts(library);
  return (text, continues) => {
    cutContinuation(continues);
    const whole = text.replaceAll(/\p{Surrogate}/gu, "\uFFFD");
    return library.encode(whole, { add_special_tokens: false }).ids;
  };
}

/** What is used of the library's tokenizer, whose own types do not resolve. */
interface Library {
  readonly model: {
    /** The tokens of a piece. */
    bpe: (piece: string) => string[];
  };
  /** Cuts one section of a text; its added tokens lie between sections. */
  pre_tokenizer: ((section: string, options: { section_index: number }) => string[]) | null;
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
}

/** Makes a switch that says whether texts continue: then their first section is not the first of all. */
function continuationCuts(library: Library): (continues: boolean) => void {
  const { pre_tokenizer: cut } = library;
  let before = 0;
  if (cut) library.pre_tokenizer = (text, { section_index: n }) => cut(text, { section_index: before + n });
  return (continues) => void (before = continues ? 1 : 0);
}

/** Lets a model have its long pieces merged by us, which gives the same tokens. */
function mergeLongPieces(model: Library["model"], merges: readonly Merge[]): void {
  const key = (leftLength: number, both: string) => `${leftLength} ${both}`;
  let ranks: ReadonlyMap<string, number> | undefined; // made for the first long piece, which most texts do not have
  const mergeShort = model.bpe.bind(model);
  model.bpe = (piece) => {
    if (piece.length <= LONG_PIECE) return mergeShort(piece);
    const known = (ranks ??= new Map(
      merges.map(([left, right], rank) => [key(left.length, left + right), rank]),
    ));
    return mergePairs(piece, (start, middle, end) => known.get(key(middle - start, piece.slice(start, end))));
  };
}
