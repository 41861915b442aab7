/** What a cache's size depends on. */
export interface Shape {
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
}

/** Bytes of a KV cache for `batchSize` rows of `positions`. */
export function cacheBytes(
  shape: Shape,
  batchSize: number,
  positions: number,
  bytesPerNumber: number,
): number {
  const { nLayers, nKvHeads, headDim } = shape;
  return 2 * nLayers * batchSize * nKvHeads * positions * headDim * bytesPerNumber; // 2: a key and a value
}

/** For Llama 3.2 3B in bfloat16. */
export const ANSWERS = {
  bytesPerToken: 114_688, // 2 · 28 · 8 · 128 · 2: 112 KiB
  bytesOf16RowsOf8192: 15_032_385_536, // · 16 · 8192: 14 GiB, more than twice the weights
  timesSmallerByGrouping: 3, // 24 / 8
};
