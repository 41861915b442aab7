import { InputError } from "../util/errors.js";
import type { ModelConfig } from "./config.js";
import type { Cache, GenerationCache } from "./generation-cache.js";

/** Checks that a model can still compute. @throws InputError if its weights are freed */
export function checkNotDisposed({ isDisposed }: { readonly isDisposed: boolean }): void {
  if (isDisposed)
    throw new InputError("a model must be disposed after its last forward pass, got another pass");
}

/**
 * Validates the input ids of a forward pass.
 *
 * @param tokens  one list of token ids per sequence
 * @param cache   whose length is the position of the first, 0 without one
 * @returns       B sequences and T positions
 * @throws InputError when the input is empty, the sequences differ in length, an id is not in the vocabulary, or the
 *         last position is beyond the context; a cache that drops old positions has no such limit
 */
export function checkTokens(
  tokens: readonly (readonly number[])[],
  cache: Pick<Cache, "length" | "capacity"> | undefined,
  { vocabSize, maxSeqLen }: Pick<ModelConfig, "vocabSize" | "maxSeqLen">,
): [B: number, T: number] {
  const B = tokens.length;
  const T = tokens[0]?.length ?? 0;
  if (T === 0)
    throw new InputError("the input must have at least one sequence of at least one token, got none");
  for (const [b, ids] of tokens.entries()) {
    if (ids.length !== T) {
      throw new InputError(`sequence ${b} must have as many tokens as sequence 0, ${T}, got ${ids.length}`);
    }
    checkTokenIds(ids, b, vocabSize);
  }
  const end = (cache?.length ?? 0) + T;
  if (end > maxSeqLen && cache?.capacity !== Infinity) {
    throw new InputError(`positions must be within the model's context of ${maxSeqLen}, got ${end}`);
  }
  return [B, T];
}

/** Checks token ids. @throws InputError for the first of a sequence's ids that is not in the vocabulary */
export function checkTokenIds(ids: readonly number[], sequence: number, vocabSize: number): void {
  for (const id of ids) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new InputError(`token ids must be 0 to ${vocabSize - 1}, got ${id} in sequence ${sequence}`);
    }
  }
}

/**
 * Checks that a cache fits a forward pass over T positions of B sequences.
 *
 * @throws InputError when it was made for another model or batch size; RangeError when T more positions exceed its
 *         capacity
 */
export function checkCache(
  cache: GenerationCache,
  B: number,
  T: number,
  { nLayers }: Pick<ModelConfig, "nLayers">,
): void {
  const { layers, batchSize, length, capacity } = cache;
  if (layers.length !== nLayers) {
    throw new InputError(`the KV cache must have the model's ${nLayers} layers, got ${layers.length}`);
  }
  if (batchSize !== B) {
    throw new InputError(`the KV cache's batch size must equal the input's, ${B}, got ${batchSize}`);
  }
  checkCapacity({ length, capacity }, T);
}

/** Checks a cache's capacity. @throws RangeError when T more positions exceed it */
export function checkCapacity({ length, capacity }: Pick<Cache, "length" | "capacity">, T: number): void {
  if (length + T <= capacity) return;
  throw new RangeError(`the KV cache's capacity must be at least ${length + T} positions, got ${capacity}`);
}
