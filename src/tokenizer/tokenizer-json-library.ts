import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { mergePairs } from "./byte-pair-merge.js";
import type { PreTokenizer } from "./pre-tokenization.js";
import type { AddedToken } from "./tokenizer.js";
import type { Merge, Vocabulary } from "./tokenizer-json-vocabulary.js";

/** UTF-16 units of the longest pre-token that the library merges; for a million characters it takes 10 to 20 seconds. */
const MAX_SHORT = 256;

/** Half a surrogate pair, which no text contains when it reaches the library. */
const HALF_PAIR = "\uD800";

/**
 * Makes a function that encodes texts with `@huggingface/tokenizers`, in which nothing is special. `continues` says
 * whether other tokens precede the text.
 *
 * @param specials the special tokens' ids by name
 */
export function libraryEncoder(
  { model, vocab, merges, added }: Vocabulary,
  { normalizer, preTokenizer }: PreTokenizer,
  specials: ReadonlyMap<string, number>,
): (text: string, continues: boolean) => number[] {
  // The library would find special tokens in any text, or merge characters into one, so it is not told of them. The one
  // that it needs, for characters without a token, has a name that no text contains.
  const known = new Map(vocab);
  for (const name of specials.keys()) known.delete(name);
  const allowed = merges.filter(([left, right]) => !specials.has(left + right));
  const unknownId = specials.get(String(model["unk_token"]));
  if (unknownId !== undefined) known.set(HALF_PAIR, unknownId);
  const library = new HuggingFaceTokenizer(
    {
      model: {
        ...model,
        type: "BPE",
        vocab: Object.fromEntries(known),
        merges: allowed,
        unk_token: unknownId === undefined ? model["unk_token"] : HALF_PAIR,
      },
      normalizer,
      pre_tokenizer: preTokenizer,
      post_processor: null,
      decoder: null,
      added_tokens: added.filter(({ content }) => !specials.has(content)),
    },
    {},
  ) as Library;
  separateAddedTokens(library, known);
  mergeLongPreTokens(library.model, allowed);
  const setContinues = countSectionsFrom(library);
  return (text, continues) => {
    setContinues(continues);
    return library.encode(text.replaceAll(/\p{Surrogate}/gu, "\uFFFD"), { add_special_tokens: false }).ids;
  };
}

/** The parts of the library's tokenizer that are used here; its own types do not resolve. */
interface Library {
  readonly model: {
    /** Merges a pre-token into token strings. */
    bpe: (preToken: string) => string[];
    /** Ids of the token strings that merges produce, and of single characters. */
    readonly tokens_to_ids: Map<string, number>;
  };
  readonly normalizer: ((text: string) => string) | null;
  readonly added_tokens: readonly AddedToken[];
  /** Added tokens by the text that is searched for. */
  readonly added_tokens_map: Map<string, AddedToken>;
  /** Splits a section of a text into pre-tokens. Sections are what is between added tokens. */
  pre_tokenizer: ((section: string, options: { section_index: number }) => string[]) | null;
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
}

/**
 * Keeps added tokens out of the merges: the library encodes a single character with the id of an added token, even where
 * the token is only searched for in normalized text, "ü" as "▁ü"; and it finds "▁ü" where only "▁▁ü" is searched for.
 */
function separateAddedTokens(library: Library, vocab: ReadonlyMap<string, number>): void {
  const { added_tokens: added, added_tokens_map: byText, model, normalizer } = library;
  byText.clear();
  for (const token of added) {
    const { content, normalized } = token;
    if (!vocab.has(content)) model.tokens_to_ids.delete(content);
    byText.set(normalizer && normalized ? normalizer(content) : content, token);
  }
}

/** Returns a setter: a text that continues another one has no section 0, before which some tokenizers put a space. */
function countSectionsFrom(library: Library): (continues: boolean) => void {
  const { pre_tokenizer: split } = library;
  let first = 0;
  if (split)
    library.pre_tokenizer = (text, { section_index: n }) => split(text, { section_index: first + n });
  return (continues) => void (first = continues ? 1 : 0);
}

/** Replaces the library's merge for long pre-tokens; the tokens are the same. */
function mergeLongPreTokens(model: Library["model"], merges: readonly Merge[]): void {
  const key = (leftLength: number, both: string) => `${leftLength} ${both}`;
  let ranks: ReadonlyMap<string, number> | undefined; // made for the first long pre-token; most texts have none
  const mergeShort = model.bpe.bind(model);
  model.bpe = (preToken) => {
    if (preToken.length <= MAX_SHORT) return mergeShort(preToken);
    const known = (ranks ??= new Map(
      merges.map(([left, right], rank) => [key(left.length, left + right), rank]),
    ));
    return mergePairs(preToken, (start, middle, end) =>
      known.get(key(middle - start, preToken.slice(start, end))),
    );
  };
}
