/** Capacities of graphs are rounded up to a multiple of this, so that one serves generations of similar length. */
const GRANULARITY = 32;

/** The capacity of the graph of a generation with `capacity` positions. */
export const graphCapacity = (capacity: number): number => GRANULARITY * Math.ceil(capacity / GRANULARITY);

/** Positions of the smallest bucket, by default. Fewer take little time to read beside the weights of a large model. */
export const SMALLEST_BUCKET = 2048;

/** A bucket has this many times the positions of the one before. */
const GROWTH = 4;

/**
 * The positions of a plain cache that a call of graph mode reads: the first ones, of which those that are not stored yet
 * are hidden. A call has fixed shapes, so it reads one of a few numbers of positions, its bucket. They are few because each
 * has calls of its own, which take time to trace and to compile: `smallest`, 4, 16, … times as many while they are at most
 * half of the capacity, then the whole capacity.
 *
 * @param end      positions that the call sees: the last one that it computes, and all before
 * @param capacity of the cache, at least `end`
 * @returns        from `end` to `capacity`
 */
export function bucketFor(end: number, capacity: number, smallest = SMALLEST_BUCKET): number {
  let bucket = smallest;
  while (bucket < end) bucket *= GROWTH;
  return 2 * bucket <= capacity ? bucket : capacity;
}
