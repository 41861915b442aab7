import { yourTurn } from "../exercise.js";

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
  yourTurn(
    `${batchSize} row(s) of ${positions} position(s), ${bytesPerNumber} bytes a number, ${shape.nLayers} layer(s): how many ` +
      "numbers does one position keep in one layer? Count the key and the value of each key/value head",
  );
}

/** For Llama 3.2 3B in bfloat16. Replace the zeros. */
export const ANSWERS = { bytesPerToken: 0, bytesOf16RowsOf8192: 0, timesSmallerByGrouping: 0 };
