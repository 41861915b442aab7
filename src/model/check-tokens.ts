import { InputError } from "../util/errors.js";
import type { ModelConfig } from "./config.js";

/**
 * Checks what is fed to a model.
 *
 * @param tokens  one list of token ids a row
 * @param prevPos the position of the first
 * @returns       B rows and T positions
 * @throws InputError when there is nothing, the rows differ in length, an id is not in the vocabulary, or the
 *         context ends before the last position
 */
export function checkTokens(
  tokens: readonly (readonly number[])[],
  prevPos: number,
  { vocabSize, maxSeqLen }: Pick<ModelConfig, "vocabSize" | "maxSeqLen">,
): [B: number, T: number] {
  const B = tokens.length;
  const T = tokens[0]?.length ?? 0;
  if (T === 0) {
    throw new InputError("there is nothing to feed: expected at least one row of at least one token");
  }
  for (const [row, ids] of tokens.entries()) {
    if (ids.length !== T) {
      throw new InputError(`row ${row} has ${ids.length} tokens, expected ${T} as in row 0`);
    }
    checkTokenIds(ids, row, vocabSize);
  }
  if (prevPos + T > maxSeqLen) {
    throw new InputError(`position ${prevPos + T} was asked for, the model's context ends at ${maxSeqLen}`);
  }
  return [B, T];
}

/** @throws InputError for the first of a row's ids that is not in the vocabulary */
export function checkTokenIds(ids: readonly number[], row: number, vocabSize: number): void {
  for (const id of ids) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new InputError(`token id ${id} in row ${row} is out of range, expected 0 to ${vocabSize - 1}`);
    }
  }
}
