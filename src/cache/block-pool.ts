/**
 * The blocks of a paged cache: which are free, and how many sequences refer to each (Kwon et al. 2023, "Efficient Memory
 * Management for Large Language Model Serving with PagedAttention"). A block holds `blockSize` positions; its number is
 * the same in every layer. It is free again when no sequence refers to it.
 *
 * Complete blocks can be found by their token ids. The key of a block is the block before it and its own ids, so equal
 * keys mean equal prefixes, and with them equal keys and values.
 */
export class BlockPool {
  private readonly references: number[];
  private readonly free: number[];
  private readonly known = new Map<string, number>();
  private readonly keyOf = new Map<number, string>();

  constructor(
    readonly blocks: number,
    readonly blockSize: number,
  ) {
    this.references = Array<number>(blocks).fill(0);
    this.free = Array.from({ length: blocks }, (_, i) => blocks - 1 - i);
  }

  /** Blocks that are not free. */
  get used(): number {
    return this.blocks - this.free.length;
  }

  /** Takes a free block, with one reference. @throws RangeError if there is none */
  take(): number {
    const block = this.free.pop();
    if (block === undefined)
      throw new RangeError(`the pool must have a free block, got ${this.blocks} in use`);
    this.references[block] = 1;
    return block;
  }

  /** Adds a reference to a block in use. */
  share(block: number): number {
    this.checkUsed(block);
    this.references[block]!++;
    return block;
  }

  /** True if several sequences refer to a block: it must then be copied before it is written. */
  isShared(block: number): boolean {
    return this.references[block]! > 1;
  }

  /** Removes a reference; the last one frees the block. */
  release(block: number): void {
    this.checkUsed(block);
    if (--this.references[block]! > 0) return;
    this.forget(block);
    this.free.push(block);
  }

  /** Makes a block unfindable, since its sequence has dropped positions and will write others. */
  forget(block: number): void {
    this.known.delete(this.keyOf.get(block) ?? "");
    this.keyOf.delete(block);
  }

  /** Makes the complete blocks of a sequence findable. @param ids at least `blockSize` for each block of the table */
  remember(table: readonly number[], ids: readonly number[]): void {
    for (const [i, block] of table.entries()) {
      const key = this.key(table[i - 1], ids, i);
      if (this.keyOf.has(block) || this.known.has(key)) continue;
      this.known.set(key, block);
      this.keyOf.set(block, key);
    }
  }

  /** The blocks that hold a prefix of `ids`, which is at least one token shorter, as a model must compute one. */
  find(ids: readonly number[]): number[] {
    const found: number[] = [];
    while ((found.length + 1) * this.blockSize < ids.length) {
      const block = this.known.get(this.key(found.at(-1), ids, found.length));
      if (block === undefined) break;
      found.push(block);
    }
    return found;
  }

  private key(before: number | undefined, ids: readonly number[], i: number): string {
    return `${before}:${ids.slice(i * this.blockSize, (i + 1) * this.blockSize).join()}`;
  }

  private checkUsed(block: number): void {
    if (!this.references[block]) throw new RangeError(`block ${block} must be in use, got a free one`);
  }
}
