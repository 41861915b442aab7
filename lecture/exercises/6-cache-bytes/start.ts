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
    `the bytes of ${batchSize} × ${positions} positions (${bytesPerNumber} bytes a number, ${shape.nLayers} layers)`,
  );
}

/** For Llama 3.2 3B in bfloat16. Replace the zeros. */
export const ANSWERS = { bytesPerToken: 0, bytesOf16RowsOf8192: 0, timesSmallerByGrouping: 0 };
