import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { GenerationCache } from "./generation-cache.js";

/**
 * Chunked prefill: computes a long prompt in chunks that follow each other into the cache. The attention scores of T
 * positions that attend to S are [T, S] for every head, so a prompt in one pass takes memory with the square of its
 * length, and in chunks with the length. Each position still attends to all before it: the logits are the same.
 *
 * @param tokens B lists of token ids
 * @param pass   computes the positions after those in the cache; true for the last chunk, whose logits are returned
 * @returns      logits at the last position, [B, V]. On any error the cache keeps its former length; one that has
 *               overwritten what it needs for that is empty
 */
export function inChunks(
  tokens: readonly (readonly number[])[],
  cache: GenerationCache,
  pass: (chunk: readonly (readonly number[])[], last: boolean) => Tensor2D,
): Tensor2D {
  const { length, prefillChunk } = cache;
  const T = tokens[0]!.length;
  try {
    for (let start = 0; ; start += prefillChunk) {
      const end = start + prefillChunk;
      const logits = pass(
        tokens.map((ids) => ids.slice(start, end)),
        end >= T,
      );
      if (end >= T) return logits;
      logits.dispose(); // the next token is the prompt's own
    }
  } catch (error) {
    cache.truncate(length); // of the last chunk, some layers have appended the positions and others have not
    throw error;
  }
}
