/**
 * How far the cache of a recorded model is filled. Its keys and values are variables of the graph, zeros when a generation
 * begins: the mask hides what is beyond the length, but 0 times what is no number would be no number.
 */
export class GraphCache {
  private filled = 0;

  constructor(
    readonly batchSize: number,
    readonly capacity: number,
    /** Gives the room back to the model. */
    readonly dispose: () => void,
  ) {}

  /** Positions stored so far. */
  get length(): number {
    return this.filled;
  }

  /** @throws RangeError when there is no room for T positions more */
  checkRoom(T: number): void {
    const end = this.filled + T;
    if (end <= this.capacity) return;
    throw new RangeError(`the KV cache's capacity must be at least ${end} positions, got ${this.capacity}`);
  }

  /** Counts T positions more, once the graph has written all of them. */
  grow(T: number): void {
    this.filled += T;
  }
}
