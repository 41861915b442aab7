import { InputError } from "../util/errors.js";
import { readTokenizerJson } from "../tokenizer/tokenizer-json.js";
import { readTokenizerModel } from "../tokenizer/tiktoken.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { type CheckpointFiles, readJsonFile, readSmallFile } from "./checkpoint-files.js";

/** Upper bound for tokenizer.model; Llama 3's has 2.2 MB, and takes sixty times that while it is read. */
const MAX_RANKS_BYTES = 8 * 2 ** 20;

/** Upper bound for the values of tokenizer.json; Llama 3's has 1.3 million. */
const MAX_TOKENIZER_VALUES = 2_500_000;

/**
 * Reads a checkpoint's tokenizer: Meta's tokenizer.model if there is one, else tokenizer.json. A SentencePiece file has
 * the name of Meta's and is skipped; so is Meta's own beside tokenizer.json if it does not fit the model, as when tokens
 * were added to a fine-tune.
 *
 * @param vocabSize rows of the model's embedding
 * @param stopIds the checkpoint's stop tokens; empty for the tokenizer's own
 * @throws InputError when there is none, or it is malformed, or does not fit the model
 */
export async function readTokenizer(
  files: CheckpointFiles,
  vocabSize: number,
  stopIds: readonly number[],
): Promise<Tokenizer> {
  const file = files.find("tokenizer.json");
  for (const name of ["tokenizer.model", "original/tokenizer.model"]) {
    const ranks = files.find(name);
    if (!ranks) continue;
    // Bytes that are not UTF-8 are SentencePiece's, or rejected with the line they are in.
    const model = new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      await readSmallFile(ranks, MAX_RANKS_BYTES),
    );
    if (isSentencePiece(model)) continue;
    const tokenizer = readTokenizerModel(model, {
      source: ranks.path,
      ...(stopIds.length > 0 && { stopIds }),
    });
    if (tokenizer.vocabSize === vocabSize) return tokenizer;
    if (file) continue;
    throw new InputError(
      `${ranks.path} must have ${vocabSize} tokens, as vocab_size in config.json says, got ${tokenizer.vocabSize}`,
    );
  }
  if (file) {
    const json = await readJsonFile(file, MAX_TOKENIZER_VALUES);
    return readTokenizerJson(json, { source: file.path, stopIds, embeddings: vocabSize });
  }
  const sentencePiece = files.find("tokenizer.model");
  if (!sentencePiece) {
    throw new InputError(`${files.directory} must hold tokenizer.model or tokenizer.json, got neither`);
  }
  throw new InputError(
    `${sentencePiece.path} must be Llama 3's or have tokenizer.json beside it, got SentencePiece's alone; ` +
      "transformers' save_pretrained writes tokenizer.json",
  );
}

/**
 * A SentencePiece file is a protocol buffer: the byte 10, which is also a line feed, and then the first token and its
 * length. If lines in Meta's format follow, it is an empty line before them.
 */
const isSentencePiece = (model: string): boolean =>
  model.startsWith("\n") && !/^\s*[A-Za-z0-9+/=]+ \d/.test(model);
