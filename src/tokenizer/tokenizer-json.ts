import { InputError } from "../util/errors.js";
import { isObject, formatValue } from "../util/format.js";
import { bytesOf, bytesWithout, checkText } from "./tokenizer-json-bytes.js";
import { readCuts } from "./pre-tokenization.js";
import { libraryEncoder } from "./tokenizer-json-library.js";
import { readTokens } from "./tokenizer-json-tokens.js";
import { Tokenizer } from "./tokenizer.js";
import { utf8ByteString } from "../util/utf8.js";

/**
 * A tokenizer from Hugging Face's `tokenizer.json`: byte-pair merges of bytes (Llama 3, SmolLM2) or of characters with
 * bytes to fall back on, as SentencePiece makes them (Llama 2, TinyLlama, Mistral). `@huggingface/tokenizers` cuts and
 * merges; ours are the checks, the bytes of every token, and that nothing in a text is special.
 *
 * A tokenizer of characters puts a blank before every text, which `decode` writes too.
 *
 * @param json what `JSON.parse` made of the file
 * @param options.source the file's name, for errors
 * @param options.stopIds the ids that end a generation
 * @param options.embeddings for how many tokens the model has one; there may be fewer tokens, but not more
 * @throws InputError for a file that is damaged, or of a kind that is not known to give the same ids as in Python
 */
export function readTokenizerJson(
  json: unknown,
  { source, stopIds, embeddings }: { source: string; stopIds: Iterable<number>; embeddings?: number },
): Tokenizer {
  if (!isObject(json)) throw new InputError(`${source} is ${formatValue(json)}, expected a JSON object`);
  const tokens = readTokens(json, embeddings, source);
  const cuts = readCuts(json["normalizer"], json["pre_tokenizer"], source);
  const { added, names } = tokens;
  const specials = new Map(added.filter(({ special }) => special).map(({ content, id }) => [content, id]));
  const missing = bytesWithout(tokens, specials, cuts, source);
  const encode = libraryEncoder(tokens, cuts, specials);
  const plain = new Set(added.map(({ id }) => id)); // written as they are
  const parts = {
    tokens: names.map((name, id) => (plain.has(id) ? utf8ByteString(name) : bytesOf(name, cuts.byteLevel))),
    specials,
    encode: (text: string, continues: boolean) => {
      checkText(text, missing, source);
      return encode(text, continues);
    },
    bosId: readBos(json["post_processor"], specials, source),
  };
  return new Tokenizer(parts, stopIds, embeddings);
}

/** The special token that the file's template puts before a text, which is all that it may add. */
function readBos(part: unknown, specials: ReadonlyMap<string, number>, source: string): number | undefined {
  const processors = isObject(part) && part["type"] === "Sequence" ? part["processors"] : [part];
  const where = `${source}: post_processor`;
  if (!Array.isArray(processors))
    throw new InputError(`${where}.processors is ${formatValue(processors)}, expected a list`);
  const added = processors.flatMap((processor: unknown) => {
    if (processor === null || processor === undefined) return [];
    if (isObject(processor) && processor["type"] === "ByteLevel") return []; // of offsets only
    const template = isObject(processor) && processor["type"] === "TemplateProcessing" && processor["single"];
    if (!Array.isArray(template))
      throw new InputError(
        `${where} is ${formatValue(isObject(processor) ? processor["type"] : processor)}, expected TemplateProcessing`,
      );
    return template.map((piece: unknown) => (isObject(piece) ? piece : {}));
  });
  const [first, ...rest] = added;
  if (first === undefined || (first["Sequence"] && rest.length === 0)) return undefined;
  const { id: name } = isObject(first["SpecialToken"]) ? first["SpecialToken"] : {};
  const bosId = specials.get(String(name));
  if (bosId !== undefined && rest.length === 1 && rest[0]!["Sequence"]) return bosId;
  throw new InputError(`${where} is ${formatValue(added)}, expected one special token and then the text`);
}
