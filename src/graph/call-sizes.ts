import type { CacheKind } from "../model/generation-cache.js";

/** The longest chunk of a prompt that one call computes. */
export const LONGEST_CHUNK = 512;

/** Positions of the shortest padded chunk, and of the longest one that is padded whatever its length. */
const [SHORTEST_PADDED, FREELY_PADDED] = [16, 64];

/** Number of lengths to which prefixes are padded without a cache. */
const BUCKETS = 8;

/** A decode block by how it chooses tokens. */
export type BlockKind = "greedy" | "sampled";

/** The sizes of a call. */
export interface CallSize {
  /** Positions computed for each sequence, padding included; in a decode block, by each step. */
  readonly T: number;
  readonly useCache: boolean;
  /** Only for a decode block. */
  readonly block?: BlockKind | undefined;
}

/** True if two calls have the same sizes. */
export const isSame = (a: CallSize, b: CallSize): boolean =>
  a.T === b.T && a.useCache === b.useCache && a.block === b.block;

/** A decode block; the plain cache only has them, as the places of other caches are found by the host, before each step. */
export const blockSize = (block: BlockKind): CallSize => ({ T: 1, useCache: true, block });

/**
 * The calls of any generation with the cache: chunks that each number of positions can be split into, and decode blocks.
 *
 * @param pads leaves out the chunks for which padded ones are used
 */
export function allCachedSizes(L: number, { type, prefillChunk }: CacheKind, pads = false): CallSize[] {
  const longest = Math.min(prefillChunk, LONGEST_CHUNK, L);
  const powers = Array.from({ length: 1 + Math.floor(Math.log2(longest)) }, (_, i) => 2 ** i);
  const chunks = powers
    .filter((T) => !pads || T === 1 || T >= SHORTEST_PADDED)
    .map((T): CallSize => ({ T, useCache: true }));
  return type === "plain" ? [...chunks, blockSize("greedy"), blockSize("sampled")] : chunks;
}

/**
 * The calls that compute T positions with the cache: chunks whose lengths are powers of two, longest first.
 *
 * @param space positions of the cache that padding may take up; 0 for chunks of T positions in all
 */
export function chunkSizes(T: number, prefillChunk: number, space = 0): CallSize[] {
  const longest = Math.min(prefillChunk, LONGEST_CHUNK);
  const sizes: CallSize[] = [];
  for (let done = 0; done < T; done += sizes.at(-1)!.T) {
    const left = T - done;
    const padded = Math.max(SHORTEST_PADDED, 2 ** Math.ceil(Math.log2(left)));
    const isWorthIt = padded <= FREELY_PADDED || padded - left <= left / 3;
    const pads = T > 1 && isWorthIt && padded <= Math.min(longest, space - done);
    sizes.push({ T: pads ? padded : 2 ** Math.floor(Math.log2(Math.min(left, longest))), useCache: true });
  }
  return sizes;
}

/** The call that computes a prefix without the cache, padded to one of a few lengths up to L. */
export function paddedSize(prefix: number, L: number): CallSize {
  const stride = Math.ceil(L / BUCKETS);
  return { T: stride * Math.ceil(prefix / stride), useCache: false };
}

/**
 * The calls of a generation.
 *
 * @param lengths positions that its first and its last step see
 * @param L       capacity of the graph
 * @param block   undefined for single decode steps
 * @param pads    pads the last chunk of the prompt, see `chunkSizes`
 */
export function generationSizes(
  [first, last]: readonly [number, number],
  L: number,
  prefillChunk: number,
  { useCache, block, pads }: Omit<CallSize, "T"> & { readonly pads: boolean },
): CallSize[] {
  if (useCache) return [...chunkSizes(first, prefillChunk, pads ? L : 0), { T: 1, useCache, block }];
  const sizes = [paddedSize(first, L)];
  while (sizes.at(-1)!.T < last) sizes.push(paddedSize(sizes.at(-1)!.T + 1, L)); // one per length that prefixes are padded to
  return sizes;
}
