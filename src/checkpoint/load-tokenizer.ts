import { join } from "node:path";
import { InputError } from "../util/errors.js";
import { readTokenizerJson } from "../tokenizer/tokenizer-json.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import { fileInside, isThere, MissingFile, readJson, readSmall } from "./directory.js";
import { parseStopIds } from "./hugging-face-config.js";

/** Llama 3's tokenizer.model has 2.2 MB, and takes sixty times that while it is read. */
const MAX_RANKS_BYTES = 8 * 2 ** 20;

/** The values of a tokenizer.json; Llama 3's has 1.3 million, and those with a vocabulary twice as large 2 million. */
const MAX_TOKENIZER_VALUES = 2_500_000;

/**
 * Loads a model directory's tokenizer: Meta's tokenizer.model where there is one, else tokenizer.json. SentencePiece's
 * file has the name of Meta's, and is passed over.
 *
 * @param vocabSize how many tokens the model's embedding has
 * @throws InputError when there is none, or it is damaged, or has other ids than the model
 */
export async function loadTokenizer(directory: string, vocabSize: number): Promise<Tokenizer> {
  const stopIds = await loadStopIds(directory, vocabSize);
  for (const name of ["tokenizer.model", "original/tokenizer.model"]) {
    if (!(await isThere(directory, name))) continue;
    const bytes = await readSmall(directory, name, MAX_RANKS_BYTES);
    const model = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes); // SentencePiece's is no UTF-8; in Meta's, a line with what is none is refused
    if (isSentencePiece(model)) continue;
    const source = await fileInside(directory, name);
    const given = stopIds.length > 0 ? { stopIds } : {}; // else the tokenizer's own
    const tokenizer = Tokenizer.fromTiktoken(model, { source, ...given });
    if (tokenizer.vocabSize === vocabSize) return tokenizer;
    throw new InputError(
      `${source} has ${tokenizer.vocabSize} tokens, ` +
        `the model's embedding in config.json has ${vocabSize}; expected the same number`,
    );
  }
  if (!(await isThere(directory, "tokenizer.json")) && (await isThere(directory, "tokenizer.model"))) {
    throw new InputError(
      `${join(directory, "tokenizer.model")} is SentencePiece's, expected tokenizer.json beside it; ` +
        "transformers' save_pretrained writes one",
    );
  }
  const source = join(directory, "tokenizer.json");
  return readTokenizerJson(await readTokenizerFile(directory), { source, stopIds, embeddings: vocabSize });
}

async function readTokenizerFile(directory: string): Promise<unknown> {
  try {
    return await readJson(directory, "tokenizer.json", MAX_TOKENIZER_VALUES);
  } catch (error) {
    if (!(error instanceof MissingFile)) throw error;
    throw new InputError(`${directory} has no tokenizer, expected tokenizer.model or tokenizer.json`);
  }
}

/**
 * SentencePiece's file is a protocol buffer: the byte 10, which is a line's end too, and then the first token and its
 * length. Where lines of Meta's follow, a blank line was put before them.
 */
const isSentencePiece = (model: string): boolean =>
  model.startsWith("\n") && !/^\s*[A-Za-z0-9+/=]+ \d/.test(model);

async function loadStopIds(directory: string, vocabSize: number): Promise<number[]> {
  const generationConfig = await readJson(directory, "generation_config.json").catch((error: unknown) => {
    if (error instanceof MissingFile) return undefined; // optional
    throw error;
  });
  return parseStopIds(await readJson(directory, "config.json"), generationConfig, vocabSize, directory);
}
