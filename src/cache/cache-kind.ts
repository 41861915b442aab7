import { cacheBytes } from "../cost/cost.js";
import { type CACHES, type CacheKind, PREFILL_CHUNK } from "../model/generation-cache.js";
import { KVCache } from "../model/kv-cache.js";
import { InputError } from "../util/errors.js";
import { pagedCache } from "./paged-cache.js";
import { quantizedCache } from "./quantized-cache.js";
import { slidingWindowCache } from "./sliding-window-cache.js";

/** A cache by name, and the settings of all caches; each has only its own. */
export interface CacheSettings {
  readonly cache: (typeof CACHES)[number];
  /** Positions that one forward pass computes, at most. */
  readonly prefillChunk?: number | undefined;
  /** Paged: positions of a block. */
  readonly blockSize?: number | undefined;
  /** Sliding: latest positions that are kept. */
  readonly window?: number | undefined;
  /** Sliding: first positions that are kept for ever. */
  readonly sinks?: number | undefined;
  /** Quantized: bits of a number. */
  readonly bits?: 8 | 4 | undefined;
  /** Quantized: what the keys of a group have in common. */
  readonly keys?: "token" | "channel" | undefined;
}

/** The settings that only one cache has. */
export const SETTINGS_OF = {
  plain: [],
  paged: ["blockSize"],
  sliding: ["window", "sinks"],
  quantized: ["bits", "keys"],
} as const satisfies Record<CacheSettings["cache"], readonly (keyof CacheSettings)[]>;

/**
 * The kind of cache that the settings name.
 *
 * @throws InputError for a number out of range
 */
export function cacheKind({ cache, prefillChunk = PREFILL_CHUNK, ...settings }: CacheSettings): CacheKind {
  const { blockSize = 16, window = 256, sinks = 0, bits = 8, keys = "channel" } = settings;
  const least = { prefillChunk: 1, blockSize: 1, window: 1, sinks: 0 };
  for (const [name, value] of Object.entries({ prefillChunk, blockSize, window, sinks })) {
    const minimum = least[name as keyof typeof least];
    if (Number.isInteger(value) && value >= minimum) continue;
    throw new InputError(`${name} must be a whole number >= ${minimum}, got ${value}`);
  }
  switch (cache) {
    case "plain":
      return plainCache(prefillChunk);
    case "paged":
      return pagedCache(prefillChunk, blockSize);
    case "sliding":
      return slidingWindowCache(prefillChunk, window, sinks);
    case "quantized":
      return quantizedCache(prefillChunk, bits, keys);
  }
}

/** The plain cache as a kind. */
const plainCache = (prefillChunk = PREFILL_CHUNK): CacheKind => ({
  type: "plain",
  name: "plain",
  prefillChunk,
  window: Infinity,
  readCopies: 1,
  maxDivergence: () => 0,
  bytes: cacheBytes,
  create: (config, batchSize, capacity) => new KVCache(config, batchSize, capacity, prefillChunk),
});
