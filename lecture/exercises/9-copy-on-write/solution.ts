/** The blocks of all sequences. */
export interface Pool {
  /** Number of block tables that each block is in; 0 if it is free. */
  readonly references: number[];
  /** Free blocks; `pop` takes one. */
  readonly free: number[];
  /** Copies the keys and values of a block into another. */
  readonly copy: (from: number, to: number) => void;
}

/** The number of block i of a table, safe to write to: a block that others refer to is replaced by a copy. */
export function writableBlock(pool: Pool, table: number[], i: number): number {
  // BEGIN SOLUTION
  // START: todo(`Block ${table[i]} has ${pool.references[table[i]!]} references. When may it be written, and when not?`);
  const block = table[i]!;
  if (pool.references[block] === 1) return block;
  const own = pool.free.pop()!;
  pool.copy(block, own);
  pool.references[block]!--;
  pool.references[own] = 1;
  table[i] = own;
  return own;
  // END SOLUTION
}
