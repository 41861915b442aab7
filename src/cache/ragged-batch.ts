import * as tf from "@tensorflow/tfjs-core";
import type { LayerMemory } from "../model/generation-cache.js";
import type { Positions } from "../model/positions.js";
import type { RotaryEmbedding } from "../model/rotary-embedding.js";
import type { BlockMemory, PagedCache } from "./paged-cache.js";

/** A decode step of sequences of different lengths, as the model sees it. */
export interface RaggedStep {
  /** T = 1; each sequence has a rotation, [B, 1, 1, D], and a mask, [B, 1, 1, S], of its own. */
  readonly positions: Positions;
  readonly layers: readonly LayerMemory[];
}

/**
 * Prepares one position for each of several paged caches of one sequence, which share their memory. All block tables are
 * read as if they were as long as the longest; masks hide what a shorter sequence does not have.
 *
 * Each cache's length must be increased by 1 after the step.
 */
export function raggedStep(
  memory: BlockMemory,
  caches: readonly PagedCache[],
  rotary: RotaryEmbedding,
): RaggedStep {
  const { headDim: D, slidingWindow: window = Infinity } = memory.config;
  const { blockSize } = memory.pool;
  const B = caches.length;
  for (const cache of caches) cache.findBlocks(1);
  const tables = caches.map((cache) => cache.tables[0]!);
  const blocks = tables.reduce((most, { length }) => Math.max(most, length), 0);
  const S = blocks * blockSize;
  const padded = tables.map((table) => Array.from({ length: blocks }, (_, i) => table[i] ?? table[0]!));

  const writes = Int32Array.from(
    caches.flatMap(({ length }, i) => Array.from(memory.rowsOf([tables[i]!], length, length + 1))),
  );
  const reads = memory.rowsOf(padded, 0, S);
  const layers = memory.layers.map(([keys, values]): LayerMemory => ({
    append: (newKeys, newValues) => [
      memory.exchange(keys, newKeys, writes, reads),
      memory.exchange(values, newValues, writes, reads),
    ],
  }));

  const rows = caches.map(({ length }) => rotary.rows(length, length + 1));
  const ownRotation = (of: "cos" | "sin") =>
    tf.tensor4d(
      rows.flatMap((row) => Array.from(row[of])),
      [B, 1, 1, D],
    );
  const hidden = caches.flatMap(({ length }) =>
    Array.from({ length: S }, (_, key) => (key > length || key <= length - window ? -1e9 : 0)),
  );
  const rotation = { cos: ownRotation("cos"), sin: ownRotation("sin") };
  return { positions: { T: 1, rotation, mask: tf.tensor4d(hidden, [B, 1, 1, S]) }, layers };
}
