import { existsSync } from "node:fs";
import { checkpointHash, restoreCache, saveCache } from "../src/checkpoint/cache-file.js";
import type { Completion } from "../src/generation/generate.js";
import { checkedLength, type StepOptions } from "../src/generation/options.js";
import { InputError, Llama, type Model } from "../src/index.js";
import { KVCache } from "../src/model/kv-cache.js";
import type { Tokenizer } from "../src/tokenizer/tokenizer.js";

/**
 * A cache that starts with what a file holds of the prompt, if the file exists.
 *
 * @returns the cache, the positions restored, and a function that saves the cache with the completion and frees it
 */
export async function openCacheFile(
  path: string,
  model: Model,
  tokenizer: Tokenizer,
  prompts: readonly string[],
  options: Omit<StepOptions, "stopIds"> & { readonly checkpoint: string },
) {
  if (!(model instanceof Llama)) throw new InputError("--execution must be eager with --cache-file");
  if (prompts.length !== 1)
    throw new InputError(`--cache-file must have one --prompt, got ${prompts.length}`);
  const ids = tokenizer.encode(prompts[0]!);
  const capacity = checkedLength([ids], { ...options, stopIds: tokenizer.stopIds }, model);
  const hash = await checkpointHash(options.checkpoint);
  const prefillChunk = options.cacheKind?.prefillChunk;
  const cache = existsSync(path)
    ? (await restoreCache(path, model.config, hash, capacity, ids, prefillChunk)).cache
    : new KVCache(model.config, 1, capacity, prefillChunk);
  const save = ({ promptTokens, tokens }: Completion): Promise<void> =>
    saveCache(path, cache, [...promptTokens, ...tokens], hash).finally(() => cache.dispose());
  return { cache, restored: cache.length, save };
}
