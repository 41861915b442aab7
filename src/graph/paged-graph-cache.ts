import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D } from "@tensorflow/tfjs-core";
import { BlockMemory, PagedCache } from "../cache/paged-cache.js";
import { causalMask } from "../model/positions.js";
import { type CacheSizes, cacheVariables, type Places, type TracedCache } from "./graph-cache.js";
import type { Tracer } from "./tracer.js";

/** Blocks of a sequence of L positions. */
const blocksOf = ({ kind, L }: CacheSizes): number => Math.ceil(L / kind.blockSize!);

/**
 * The paged cache in a graph. The rows to write and the block tables are inputs: the graph is the same wherever the blocks
 * of a sequence are. Attention reads as many blocks as a full sequence has.
 */
export function tracePaged(tracer: Tracer, sizes: CacheSizes): (positions: Tensor1D) => TracedCache {
  const { config, kind, B } = sizes;
  const { nKvHeads: K, headDim: D, slidingWindow } = config;
  const blockSize = kind.blockSize!;
  const blocks = blocksOf(sizes);
  const exchange = cacheVariables(tracer, config, K * B * blocks * blockSize);
  return (positions) => {
    const writes = tracer.input<tf.Rank.R1>("writes", [B * K * positions.size], "int32");
    const reads = tracer.input<tf.Rank.R1>("reads", [B * K * blocks], "int32");
    const layers = exchange(writes, (all) => {
      const byBlock = tf.reshape(all, [-1, blockSize * D]); // one block of one head per row
      return tf.reshape(tf.gather(byBlock, reads), [B * K, blocks * blockSize, D]);
    });
    return { layers, mask: causalMask(positions, blocks * blockSize, slidingWindow) };
  };
}

/** The block tables of a generation: those of a `PagedCache` without layers, as keys and values are in the graph. */
export function pagedPlaces(sizes: CacheSizes): Places {
  const { config, kind, B, L } = sizes;
  const blocks = blocksOf(sizes);
  const memory = new BlockMemory({ ...config, nLayers: 0 }, B * blocks, kind.blockSize!);
  const cache = new PagedCache(memory, B, L);
  const int32 = (values: Iterable<number> & ArrayLike<number>) => ({
    values: Int32Array.from(values),
    shape: [values.length],
  });
  return {
    inputs(start, T) {
      cache.length = start;
      cache.findBlocks(T);
      cache.length += T;
      const writes = memory.rowsOf(cache.tables, start, start + T);
      // A sequence's blocks after its last are read, too, and hidden by the mask; any block will do.
      const full = cache.tables.map((table) => Array.from({ length: blocks }, (_, i) => table[i] ?? 0));
      const reads = full.flatMap((table) => memory.blocksOf(table).flat());
      return { writes: int32(writes), reads: int32(reads) };
    },
    truncate(length) {
      cache.truncate(length);
      return length;
    },
  };
}
