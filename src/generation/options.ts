import { checkGenerationFits } from "../cost/memory-check.js";
import { checkTokenIds } from "../model/check-input.js";
import type { ModelConfig } from "../model/config.js";
import type { Cache, CacheKind } from "../model/generation-cache.js";
import type { Model } from "../model/model.js";
import type { Probe } from "../model/probe.js";
import { InputError } from "../util/errors.js";
import { checkSampling, type SamplingOptions, type sampleToken } from "./sampling.js";

/** Options of a generation. */
export interface StepOptions extends SamplingOptions {
  /** Tokens to generate for each sequence, at most. */
  readonly maxGenLen: number;
  /** The switch: keep keys and values from step to step, or recompute those of the whole prefix in every step. */
  readonly useCache: boolean;
  /** The kind of the cache; by default the plain one, prefilled in chunks of `PREFILL_CHUNK` positions. */
  readonly cacheKind?: CacheKind | undefined;
  /** A sequence ends after one of these tokens. */
  readonly stopIds: ReadonlySet<number>;
  /**
   * A cache kept between generations: it holds the keys and values of each prompt's first `cache.length` tokens, so only
   * the others are computed. Its owner disposes it. By default each generation has its own cache.
   */
  readonly cache?: Cache | undefined;
  /** Chooses a sequence's token at position curPos from its V logits; by default `sampleToken`. */
  readonly sample?: typeof sampleToken | undefined;
  /** Ends the generation before the next step; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Receives the model's activations in every step. */
  readonly probe?: Probe | undefined;
  /** Receives each step's logits, V for each sequence, before the next tokens are chosen. */
  readonly onLogits?: ((logits: readonly Float32Array[]) => void) | undefined;
}

/**
 * Validates a generation before anything is computed.
 *
 * @returns the length that the longest sequence can reach: the capacity that a cache needs
 * @throws InputError for the first option or prompt that is wrong, or when the generation does not fit in memory
 */
export function checkedLength(
  prompts: readonly (readonly number[])[],
  options: StepOptions,
  { config, longestChunk }: Pick<Model, "config" | "longestChunk">,
): number {
  const { maxGenLen, useCache, cache, cacheKind } = options;
  checkSampling(options);
  if (!Number.isInteger(maxGenLen) || maxGenLen < 1) {
    throw new InputError(`maxGenLen must be a whole number >= 1, got ${maxGenLen}`);
  }
  if (prompts.length === 0) throw new InputError("prompts must have at least one entry, got none");
  const context = useCache && cacheKind && cacheKind.window < Infinity ? Infinity : config.maxSeqLen;
  for (const [i, ids] of prompts.entries()) checkPrompt(ids, i, maxGenLen, { ...config, maxSeqLen: context });
  const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0);
  if (cache) checkCache(cache, prompts, longest + maxGenLen, useCache);
  const past = cache?.length ?? 0;
  const size = {
    batch: prompts.length,
    input: longest - past,
    output: maxGenLen,
    past,
    capacity: cache?.capacity,
    useCache,
    cacheKind,
    longestChunk,
  };
  checkGenerationFits(config, size, cache ? 0 : undefined);
  return longest + maxGenLen;
}

function checkPrompt(ids: readonly number[], i: number, maxGenLen: number, config: ModelConfig): void {
  const { maxSeqLen, vocabSize } = config;
  checkTokenIds(ids, i, vocabSize);
  if (ids.length === 0) throw new InputError(`prompt ${i} must have at least one token, got none`);
  const total = ids.length + maxGenLen;
  if (total > maxSeqLen) {
    throw new InputError(
      `prompt + maxGenLen must be within the model's context of ${maxSeqLen} tokens, ` +
        `got ${ids.length} + ${maxGenLen} = ${total} for prompt ${i}`,
    );
  }
}

function checkCache(
  cache: Cache,
  prompts: readonly (readonly number[])[],
  total: number,
  useCache: boolean,
): void {
  if (!useCache) throw new InputError("useCache must be true when a cache is given, got false");
  if (prompts.length !== cache.batchSize) {
    throw new InputError(
      `the cache's batch size must be ${prompts.length} like the prompts', got ${cache.batchSize}`,
    );
  }
  const length = prompts.reduce((least, ids) => Math.min(least, ids.length), Infinity);
  if (cache.length >= length) {
    throw new InputError(
      `the cache must hold fewer positions than the prompt's ${length}, got ${cache.length}`,
    );
  }
  if (total > cache.capacity) {
    throw new InputError(`the cache's capacity must be at least ${total} positions, got ${cache.capacity}`);
  }
}

/** Checks that a cache is where the loop left it. @throws InputError when another generation has used the cache since the last step */
export function checkOwnCache(cache: Cache | undefined, prevPos: number): void {
  if (!cache || cache.length === prevPos) return;
  throw new InputError(
    `a cache must be used by one generation at a time, got ${cache.length} positions instead of ${prevPos}`,
  );
}
