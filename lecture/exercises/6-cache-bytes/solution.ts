/** The numbers of a model that the size of its cache depends on. */
export interface Shape {
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
}

/** Bytes of a KV cache for `batchSize` sequences of `positions`. */
export function cacheBytes(
  shape: Shape,
  batchSize: number,
  positions: number,
  bytesPerNumber: number,
): number {
  // BEGIN SOLUTION
  // START: todo("How many numbers does one position need in one layer? Count the key and the value of each KV head.");
  const { nLayers, nKvHeads, headDim } = shape;
  return 2 * nLayers * batchSize * nKvHeads * positions * headDim * bytesPerNumber; // 2: a key and a value
  // END SOLUTION
}

/** For Llama 3.2 3B in bfloat16. */
export const ANSWERS = {
  // BEGIN SOLUTION
  // START: // replace the zeros
  // START: bytesPerToken: 0,
  // START: bytesOf16SequencesOf8192: 0,
  // START: timesSmallerByGrouping: 0,
  bytesPerToken: 114_688, // 2 · 28 · 8 · 128 · 2: 112 KiB
  bytesOf16SequencesOf8192: 15_032_385_536, // · 16 · 8192: 14 GiB, more than twice the weights
  timesSmallerByGrouping: 3, // 24 / 8
  // END SOLUTION
};
