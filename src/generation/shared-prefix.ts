import { BlockMemory, PagedCache } from "../cache/paged-cache.js";
import { cacheBytes } from "../cost/cost.js";
import type { Llama } from "../model/llama.js";
import { checkedLength, type StepOptions } from "./options.js";

/** A paged cache for a batch of prompts whose common prefix was computed once. */
export interface SharedPrefix {
  /** For the option `cache` of `steps`. */
  readonly cache: PagedCache;
  /** Tokens that all prompts begin with. */
  readonly length: number;
  /** Bytes of the blocks that are in use. */
  bytes(): number;
  /** Frees the blocks, also those of the cache. */
  dispose(): void;
}

/**
 * Prefills the tokens that all prompts begin with once, into blocks that all sequences then share: one system prompt,
 * many questions.
 *
 * @param blockSize positions of a block
 * @throws what `steps` throws
 */
export function sharePrefix(
  model: Llama,
  prompts: readonly (readonly number[])[],
  blockSize: number,
  options: StepOptions,
): SharedPrefix {
  const { config } = model;
  const capacity = checkedLength(prompts, options, model);
  const length = commonPrefixLength(prompts);
  const own = Math.ceil(capacity / blockSize) - Math.floor(length / blockSize); // blocks of each sequence
  const blocks = Math.ceil(length / blockSize) + prompts.length * own;
  const memory = new BlockMemory(config, blocks, blockSize);
  try {
    const prefix = new PagedCache(memory, 1, capacity, options.cacheKind?.prefillChunk);
    if (length > 0) model.forward([prompts[0]!.slice(0, length)], prefix).dispose();
    const cache = prefix.fork(prompts.length);
    return {
      cache,
      length,
      bytes: () => cacheBytes(config, memory.pool.used, blockSize),
      dispose: () => memory.dispose(),
    };
  } catch (error) {
    memory.dispose();
    throw error;
  }
}

/** Tokens that all prompts begin with; at least one of each prompt is left, as a model must compute one. */
function commonPrefixLength(prompts: readonly (readonly number[])[]): number {
  const shortest = prompts.reduce((least, ids) => Math.min(least, ids.length), Infinity);
  let length = 0;
  while (length < shortest - 1 && prompts.every((ids) => ids[length] === prompts[0]![length])) length++;
  return length;
}
