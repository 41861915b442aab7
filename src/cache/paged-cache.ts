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
 * The keys and values of many sequences in the blocks of one pool. A layer has two matrices, [K·blocks·size, D]: first all
 * blocks of the first head, then those of the second. So neighbouring blocks of a sequence are read as one.
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
    const allocate = () => tf.keep(tf.fill<tf.Rank.R2>([K * blocks * blockSize, D], 0));
    this.layers = pairsOrNone(nLayers, allocate);
  }

  /** The rows of positions start … end-1, sequence by sequence and head by head. */
  rowsOf(tables: readonly (readonly number[])[], start: number, end: number): Int32Array {
    const { blockSize: size } = this.pool;
    const heads = tables.flatMap((table) => this.blocksOf(table));
    const rows = new Int32Array(heads.length * (end - start));
    let i = 0;
    for (const blocks of heads) {
      for (let p = start; p < end; p++) rows[i++] = blocks[Math.floor(p / size)]! * size + (p % size);
    }
    return rows;
  }

  /** The blocks of a sequence for each head, counted from the first head's first block. */
  blocksOf(table: readonly number[]): number[][] {
    const { nKvHeads: K } = this.config;
    return Array.from({ length: K }, (_, head) => table.map((block) => head * this.pool.blocks + block));
  }

  /** Copies a block into a free one, for a sequence that writes to a shared block. */
  copy(block: number): number {
    const own = this.pool.take();
    const [from, to] = [block, own].map((one) => this.rowsOf([[one]], 0, this.pool.blockSize));
    tf.tidy(() => {
      for (const matrix of this.layers.flat()) kvCacheWriteRows(matrix, kvCacheReadRows(matrix, from!), to!);
    });
    this.pool.release(block);
    return own;
  }

  /**
   * Writes new positions of a layer's keys or values, [B*K, T, D], to the given rows, and reads others.
   *
   * @param writes B·K·T, see `rowsOf`
   * @param reads  B·K·S
   * @returns      [B*K, S, D]
   */
  exchange(matrix: Tensor2D, update: Tensor3D, writes: Int32Array, reads: Int32Array): Tensor3D {
    const [heads, , D] = update.shape;
    kvCacheWriteRows(matrix, tf.reshape(update, [-1, D]), writes);
    return tf.reshape(kvCacheReadRows(matrix, reads), [heads, -1, D]);
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
  private writes: Int32Array = new Int32Array();
  private reads: Int32Array = new Int32Array();

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
        const { writes, reads } = this;
        const all: [Tensor3D, Tensor3D] = [
          memory.exchange(keys, newKeys, writes, reads),
          memory.exchange(values, newValues, writes, reads),
        ];
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
    this.writes = memory.rowsOf(tables, length, end);
    this.reads = memory.rowsOf(tables, 0, end);
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
    readCopies: 2, // the rows, and the same as one matrix per head
    maxDivergence: () => 0,
    bytes: (config, batchSize, capacity) => cacheBytes(config, blocks(batchSize, capacity), blockSize),
    create: (config, batchSize, capacity) => {
      const memory = new BlockMemory(config, blocks(batchSize, capacity), blockSize);
      return new PagedCache(memory, batchSize, capacity, prefillChunk, true);
    },
  };
}
