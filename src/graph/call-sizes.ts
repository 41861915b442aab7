import { bucketFor } from "../model/buckets.js";
import type { CacheKind } from "../model/generation-cache.js";

/** The longest chunk of a prompt that one call computes. */
export const LONGEST_CHUNK = 512;

/** Positions of the shortest padded chunk, and of the longest one that is padded whatever its length. */
const [SHORTEST_PADDED, FREELY_PADDED] = [16, 64];

/** Number of lengths to which prefixes are padded without a cache. */
const PREFIX_LENGTHS = 8;

/** A decode block by how it chooses tokens. */
export type BlockKind = "greedy" | "sampled";

/** The sizes of a call. */
export interface CallSize {
  /** Positions computed for each sequence, padding included; in a decode block, by each step. */
  readonly T: number;
  /** Positions attended to, of which a mask hides some: those that the call reads from the cache; T without the cache. */
  readonly S: number;
  readonly useCache: boolean;
  /** Only for a decode block. */
  readonly block?: BlockKind | undefined;
}

/** The properties of a graph's cache that the sizes of calls depend on. */
export interface CacheUse extends Pick<CacheKind, "type" | "prefillChunk"> {
  /** Capacity. */
  readonly L: number;
  /** Pads the last chunk of a prompt, so that prompts of all lengths need fewer sizes. */
  readonly pads: boolean;
  /** Positions of the smallest bucket, see `bucketFor`. */
  readonly smallestBucket: number;
}

/** True if two calls have the same sizes. */
export const isSame = (a: CallSize, b: CallSize): boolean =>
  a.T === b.T && a.S === b.S && a.useCache === b.useCache && a.block === b.block;

/** Positions that a call reads if it sees the first `end`; other caches than the plain one read what they always read. */
const readBy = (end: number, { type, L, smallestBucket }: CacheUse): number =>
  type === "plain" ? bucketFor(end, L, smallestBucket) : L;

/**
 * A decode block; the plain cache only has them, as the places of other caches are found by the host, before each step.
 *
 * @param end positions that its last step sees; its first ones read as many, too
 */
export const blockSize = (block: BlockKind, end: number, use: CacheUse): CallSize => ({
  T: 1,
  S: readBy(end, use),
  useCache: true,
  block,
});

/**
 * The calls of any generation with the cache that see the first `end` positions, or as many as are in the same bucket:
 * chunks that each number of positions can be split into, and decode blocks.
 */
export function allCachedSizes(end: number, use: CacheUse): CallSize[] {
  const { L, type, prefillChunk, pads } = use;
  const longest = Math.min(prefillChunk, LONGEST_CHUNK, L);
  const powers = Array.from({ length: 1 + Math.floor(Math.log2(longest)) }, (_, i) => 2 ** i);
  const chunks = powers
    .filter((T) => !pads || T === 1 || T >= SHORTEST_PADDED) // padded ones are used instead of the others
    .map((T): CallSize => ({ T, S: readBy(end, use), useCache: true }));
  return type === "plain"
    ? [...chunks, blockSize("greedy", end, use), blockSize("sampled", end, use)]
    : chunks;
}

/**
 * The calls that compute T positions with the cache, after those before `start`: chunks whose lengths are powers of two,
 * longest first. Padding is within the capacity, but may be beyond what the call reads: it is never attended to.
 */
export function chunkSizes(start: number, T: number, use: CacheUse): CallSize[] {
  const { L, prefillChunk, pads } = use;
  const longest = Math.min(prefillChunk, LONGEST_CHUNK);
  const end = start + T;
  const sizes: CallSize[] = [];
  for (let position = start; position < end; position += sizes.at(-1)!.T) {
    const left = end - position;
    const padded = Math.max(SHORTEST_PADDED, 2 ** Math.ceil(Math.log2(left)));
    const isWorthIt = padded <= FREELY_PADDED || padded - left <= left / 3;
    const isPadded = pads && T > 1 && isWorthIt && padded <= Math.min(longest, L - position);
    const size = isPadded ? padded : 2 ** Math.floor(Math.log2(Math.min(left, longest)));
    sizes.push({ T: size, S: readBy(Math.min(position + size, end), use), useCache: true });
  }
  return sizes;
}

/**
 * The calls of the graph that replaces one without some needed calls; those of the same graph if it lacks none. Beside the
 * missing ones, it has all that a generation usually needs in the last bucket that they reach: if this is the first call there,
 * as others will follow, and for a GPU, as XLA compiles all calls again after each trace.
 *
 * @param known of the graph to replace; a first graph has needed calls only
 */
export function withMissing(
  known: readonly CallSize[],
  needed: readonly CallSize[],
  use: CacheUse,
): CallSize[] {
  const isIn = (sizes: readonly CallSize[], size: CallSize) => sizes.some((other) => isSame(other, size));
  const cached = known.filter(({ useCache }) => useCache);
  const isFirst = ({ S }: CallSize) => cached.length > 0 && cached.every((size) => size.S !== S);
  const missing = needed.filter((size) => size.useCache && !isIn(known, size));
  const reached = Math.max(...missing.map(({ S }) => S)); // a prompt only passes through the other buckets
  const usual = missing
    .filter((size) => size.S === reached && (isFirst(size) || (use.pads && known.length > 0)))
    .flatMap(({ S }) => allCachedSizes(S, use));
  const all = [...known, ...needed, ...usual];
  return all.filter((size, i) => !isIn(all.slice(0, i), size));
}

/** The call that computes a prefix without the cache, padded to one of a few lengths up to L. */
export function paddedSize(prefix: number, L: number): CallSize {
  const stride = Math.ceil(L / PREFIX_LENGTHS);
  const T = stride * Math.ceil(prefix / stride);
  return { T, S: T, useCache: false };
}

/**
 * The calls of a generation.
 *
 * @param seen  positions that its first and its last step see
 * @param block undefined for single decode steps
 */
export function generationSizes(
  [first, last]: readonly [number, number],
  use: CacheUse,
  { useCache, block }: Pick<CallSize, "useCache" | "block">,
): CallSize[] {
  if (!useCache) {
    const sizes = [paddedSize(first, use.L)];
    while (sizes.at(-1)!.T < last) sizes.push(paddedSize(sizes.at(-1)!.T + 1, use.L)); // one per length that prefixes are padded to
    return sizes;
  }
  const stepAt = (end: number): CallSize => ({ T: 1, S: readBy(end, use), useCache, block });
  const decoding = [stepAt(Math.min(first + 1, last))]; // one per bucket; a ring takes steps beyond L
  while (decoding.at(-1)!.S < Math.min(last, use.L)) decoding.push(stepAt(decoding.at(-1)!.S + 1));
  return [...chunkSizes(0, first, use), ...decoding];
}
