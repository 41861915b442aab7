import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { kvCacheReadRows, kvCacheWriteRows } from "../backend/kv-cache-rows.js";
import { cacheBytes } from "../cost/cost.js";
import type { ModelConfig } from "../model/config.js";
import {
  type CacheKind,
  type GenerationCache,
  type LayerMemory,
  PREFILL_CHUNK,
} from "../model/generation-cache.js";
import { attentionMask } from "../model/positions.js";
import { pairsOrNone } from "../util/all-or-none.js";
import { BlockPool } from "./block-pool.js";

/**
 * The keys and values of many sequences in the blocks of one pool. A layer has two matrices, [blocks·K·size, D]: first
 * all positions of block 0's first head, then of its second, then block 1.
 */
export class BlockMemory {
  readonly pool: BlockPool;
  /** The keys and values of each layer. */
  readonly layers: readonly (readonly [keys: Tensor2D, values: Tensor2D])[];

  constructor(
    readonly config: Pick<ModelConfig, "nLayers" | "nKvHeads" | "headDim" | "slidingWindow">,
    blocks: number,
    blockSize: number,
  ) {
    const { nLayers, nKvHeads: K, headDim: D } = config;
    this.pool = new BlockPool(blocks, blockSize);
    const allocate = () => tf.keep(tf.fill<tf.Rank.R2>([blocks * K * blockSize, D], 0));
    this.layers = pairsOrNone(nLayers, allocate);
  }

  /** The rows of positions start … end-1 of a sequence, head by head. */
  rowsOf(table: readonly number[], start: number, end: number): number[] {
    const { blockSize: size } = this.pool;
    return this.blocksOf(table).flatMap((blocks) =>
      Array.from({ length: end - start }, (_, i) => {
        const position = start + i;
        return blocks[Math.floor(position / size)]! * size + (position % size);
      }),
    );
  }

  /** The blocks of a sequence for each head, as rows of the matrix [blocks·K, size·D]. */
  blocksOf(table: readonly number[]): number[][] {
    const { nKvHeads: K } = this.config;
    return Array.from({ length: K }, (_, head) => table.map((block) => block * K + head));
  }

  /** Copies a block into a free one, for a sequence that writes to a shared block. */
  copy(block: number): number {
    const own = this.pool.take();
    const [from, to] = [block, own].map((one) => Int32Array.from(this.blocksOf([one]).flat()));
    tf.tidy(() => {
      for (const matrix of this.layers.flat()) {
        const blocks = this.byBlock(matrix);
        kvCacheWriteRows(blocks, kvCacheReadRows(blocks, from!), to!);
      }
    });
    this.pool.release(block);
    return own;
  }

  /**
   * Writes new positions of a layer's keys or values, [B*K, T, D], to the given rows, and reads the given blocks.
   *
   * @param writes see `rowsOf`
   * @param reads  see `blocksOf`
   * @returns      [B*K, blocks·size, D]
   */
  exchange(matrix: Tensor2D, update: Tensor3D, writes: Int32Array, reads: Int32Array): Tensor3D {
    const [heads, , D] = update.shape;
    kvCacheWriteRows(matrix, tf.reshape(update, [-1, D]), writes);
    return tf.reshape(kvCacheReadRows(this.byBlock(matrix), reads), [heads, -1, D]);
  }

  /** A layer's keys or values with one block of one head per row, [blocks·K, size·D]. */
  private byBlock(matrix: Tensor2D): Tensor2D {
    return tf.reshape(matrix, [-1, this.pool.blockSize * this.config.headDim]);
  }

  dispose(): void {
    tf.dispose(this.layers.flat());
  }
}

/**
 * A paged cache: each sequence has a list of blocks, its block table. Memory is taken block by block as sequences grow,
 * and sequences with the same prefix share its blocks. A shared block is copied before it is written.
 */
export class PagedCache implements GenerationCache {
  readonly layers: readonly LayerMemory[];
  /** Positions stored so far. */
  length = 0;
  private end = 0; // of the current call
  private writes = new Int32Array();
  private reads = new Int32Array();

  /**
   * @param memory disposed with the cache if the cache is its owner
   * @param tables block numbers of each sequence; the cache takes the references over
   */
  constructor(
    readonly memory: BlockMemory,
    readonly batchSize: number,
    readonly capacity: number,
    readonly prefillChunk = PREFILL_CHUNK,
    private readonly isOwner = false,
    readonly tables: readonly number[][] = Array.from({ length: batchSize }, () => []),
  ) {
    this.layers = memory.layers.map(([keys, values], i) => ({
      append: (newKeys, newValues) => {
        const all: [Tensor3D, Tensor3D] = [this.exchange(keys, newKeys), this.exchange(values, newValues)];
        if (i === memory.layers.length - 1) this.length = this.end;
        return all;
      },
    }));
  }

  begin(T: number): Tensor2D | undefined {
    this.findBlocks(T);
    const { memory, length, tables } = this;
    const end = length + T;
    this.end = end;
    this.writes = Int32Array.from(tables.flatMap((table) => memory.rowsOf(table, length, end)));
    this.reads = Int32Array.from(tables.flatMap((table) => memory.blocksOf(table).flat()));
    return attentionMask(length, T, memory.config.slidingWindow);
  }

  /** Extends the block tables for T more positions, and copies a block that they would write to and others share. */
  findBlocks(T: number): void {
    const { memory, length, tables } = this;
    const { pool } = memory;
    for (const table of tables) {
      const last = table.at(-1);
      if (length % pool.blockSize > 0) {
        if (pool.isShared(last!))
          table[table.length - 1] = memory.copy(last!); // copy on write
        else pool.forget(last!);
      }
      while (table.length * pool.blockSize < length + T) table.push(pool.take());
    }
  }

  /** Writes the new positions of a layer's keys or values, [B*K, T, D], and reads all, [B*K, S, D]. */
  private exchange(matrix: Tensor2D, update: Tensor3D): Tensor3D {
    const [heads, , D] = update.shape;
    const all = this.memory.exchange(matrix, update, this.writes, this.reads);
    return all.shape[1] === this.end ? all : tf.slice(all, [0, 0, 0], [heads, this.end, D]);
  }

  /** A cache of several sequences that begin with this cache's only one, whose blocks they share. */
  fork(batchSize: number, capacity = this.capacity): PagedCache {
    const { memory, prefillChunk } = this;
    const tables = Array.from({ length: batchSize }, () =>
      this.tables[0]!.map((block) => memory.pool.share(block)),
    );
    const forked = new PagedCache(memory, batchSize, capacity, prefillChunk, false, tables);
    forked.length = this.length;
    return forked;
  }

  /** Makes the complete blocks of a sequence findable for others that begin with the same tokens. */
  remember(ids: readonly number[], sequence = 0): void {
    const { pool } = this.memory;
    const complete = Math.floor(Math.min(this.length, ids.length) / pool.blockSize);
    pool.remember(this.tables[sequence]!.slice(0, complete), ids);
  }

  /** A cache of one sequence that begins with the blocks that already hold a prefix of `ids`. */
  static find(
    memory: BlockMemory,
    ids: readonly number[],
    capacity: number,
    prefillChunk: number,
  ): PagedCache {
    const table = memory.pool.find(ids).map((block) => memory.pool.share(block));
    const cache = new PagedCache(memory, 1, capacity, prefillChunk, false, [table]);
    cache.length = table.length * memory.pool.blockSize;
    return cache;
  }

  /** Drops all positions from `length` on, and releases the blocks behind them. */
  truncate(length: number): void {
    this.length = Math.min(this.length, length);
    const { pool } = this.memory;
    const kept = Math.ceil(this.length / pool.blockSize);
    for (const table of this.tables) for (const block of table.splice(kept)) pool.release(block);
  }

  dispose(): void {
    this.truncate(0);
    if (this.isOwner) this.memory.dispose();
  }
}

/** The paged cache as a kind, with blocks for all sequences at their full length. */
export function pagedCache(prefillChunk: number, blockSize: number): CacheKind {
  const blocks = (batchSize: number, capacity: number) => batchSize * Math.ceil(capacity / blockSize);
  return {
    type: "paged",
    name: `paged, blocks of ${blockSize}`,
    prefillChunk,
    blockSize,
    window: Infinity,
    readCopies: 3, // the blocks, the same as one matrix per head, and without the rest of the last block
    maxDivergence: () => 0,
    bytes: (config, batchSize, capacity) => cacheBytes(config, blocks(batchSize, capacity), blockSize),
    create: (config, batchSize, capacity) => {
      const memory = new BlockMemory(config, blocks(batchSize, capacity), blockSize);
      return new PagedCache(memory, batchSize, capacity, prefillChunk, true);
    },
  };
}
