import { isObject } from "../util/format.js";
import { mustBe } from "../util/json.js";
import { utf8ByteString } from "../util/utf8.js";
import { componentsOf, readPreTokenizer } from "./pre-tokenization.js";
import { bytesOf, bytesWithoutToken, rejectBytes } from "./token-bytes.js";
import { libraryEncoder } from "./tokenizer-json-library.js";
import { readVocabulary } from "./tokenizer-json-vocabulary.js";
import { Tokenizer } from "./tokenizer.js";

/**
 * Reads Hugging Face's `tokenizer.json`: byte-pair encoding of bytes (Llama 3, SmolLM2), or of characters with byte
 * fallback, as in SentencePiece (Llama 2, TinyLlama, Mistral). `@huggingface/tokenizers` normalizes, pre-tokenizes and
 * merges; validation, the bytes of every token, and keeping special tokens out of texts are done here.
 *
 * A tokenizer of characters puts a space before every text, which `decode` returns too.
 *
 * @param json the parsed file
 * @param options.source the file's name in errors
 * @param options.stopIds ids of the stop tokens
 * @param options.embeddings rows of the model's embedding, which may be more than there are tokens, but not fewer
 * @throws InputError for a malformed file, or one of a type that was not compared with Python's `tokenizers`
 */
export function readTokenizerJson(
  json: unknown,
  { source, stopIds, embeddings }: { source: string; stopIds: Iterable<number>; embeddings?: number },
): Tokenizer {
  if (!isObject(json)) throw mustBe(source, "a JSON object", json);
  const vocabulary = readVocabulary(json, embeddings, source);
  const preTokenizer = readPreTokenizer(json["normalizer"], json["pre_tokenizer"], source);
  const { added, tokens } = vocabulary;
  const specials = new Map(added.filter(({ special }) => special).map(({ content, id }) => [content, id]));
  const missing = bytesWithoutToken(vocabulary, specials, preTokenizer, source);
  const hidden = added.find(({ special, normalized, content }) => {
    return preTokenizer.normalizer && !special && !normalized && content.includes("▁");
  });
  // The library would also find it where a space stands.
  if (hidden) throw mustBe(`${source}: the added token`, 'normalized or without "▁"', hidden.content);
  const encode = libraryEncoder(vocabulary, preTokenizer, specials);
  let encodePlain: typeof encode | undefined; // made for the first text that needs it; few do
  const verbatim = new Set(added.map(({ id }) => id));
  const parts = {
    tokens: tokens.map((token, id) =>
      verbatim.has(id) ? utf8ByteString(token) : bytesOf(token, preTokenizer.byteLevel),
    ),
    specials,
    added,
    encode: (text: string, continues: boolean, plain: boolean) => {
      rejectBytes(missing, text, source);
      if (!plain) return encode(text, continues);
      encodePlain ??= libraryEncoder({ ...vocabulary, added: [] }, preTokenizer, specials);
      return encodePlain(text, continues);
    },
    bosId: readBos(json["post_processor"], specials, `${source}: post_processor`),
  };
  return new Tokenizer(parts, stopIds, embeddings);
}

/** The id of the special token that the file's template puts before a text; it must not add anything else. */
function readBos(json: unknown, specials: ReadonlyMap<string, number>, where: string): number | undefined {
  const template = componentsOf(json, "processors", where).flatMap(({ type, single }) => {
    if (type === "ByteLevel") return []; // changes offsets only
    if (type !== "TemplateProcessing" || !Array.isArray(single)) {
      throw mustBe(where, "a TemplateProcessing", type);
    }
    return single.map((item: unknown) => (isObject(item) ? item : {}));
  });
  const [first, ...rest] = template;
  if (first === undefined || (first["Sequence"] && rest.length === 0)) return undefined;
  const { id: name } = isObject(first["SpecialToken"]) ? first["SpecialToken"] : {};
  const bosId = specials.get(String(name));
  if (bosId !== undefined && rest.length === 1 && rest[0]!["Sequence"]) return bosId;
  throw mustBe(where, "one special token and then the text", template);
}
