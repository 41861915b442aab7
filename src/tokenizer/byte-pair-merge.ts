/**
 * The ids of one piece of text by tiktoken's rules: the piece's own if it is a token; otherwise its single bytes are
 * merged, always the two neighbours whose union has the lowest rank.
 *
 * `piece` and the keys of `ranks` hold one byte a character, as `atob` writes them. Every single byte has a rank.
 */
export function bytePairMerge(piece: string, ranks: ReadonlyMap<string, number>): number[] {
  const whole = ranks.get(piece);
  if (whole !== undefined) return [whole];
  const parts = mergePairs(piece, (start, _middle, end) => ranks.get(piece.slice(start, end)));
  return parts.map((part) => ranks.get(part)!);
}

/**
 * Merges the characters of a piece: always the two neighbours whose pair has the lowest rank, the leftmost on a tie,
 * until no pair has one.
 *
 * js-tiktoken does the same by looking at every pair for every merge, O(n²), and `@huggingface/tokenizers` with an object
 * and a JSON text for each pair. Here the pairs wait as numbers in a heap, O(n log n): a million blanks take a second or
 * two. The algorithm is tiktoken's `_byte_pair_merge_large`, https://github.com/openai/tiktoken/blob/main/src/lib.rs.
 *
 * @param rankOf the rank of the pair whose left part is `start` to `middle` and whose right one `middle` to `end`
 * @returns the parts that are left, from left to right
 */
export function mergePairs(
  piece: string,
  rankOf: (start: number, middle: number, end: number) => number | undefined,
): string[] {
  // A part is known by where it starts. `next` and `previous` link the parts; both ends are `end` and -1.
  const end = piece.length;
  const next = new Int32Array(end);
  const previous = new Int32Array(end);
  for (let start = 0, before = -1; start < end; before = start, start = next[start]!) {
    next[start] = start + (piece.codePointAt(start)! > 0xffff ? 2 : 1);
    previous[start] = before;
  }

  // A pair is known by the start of its left part. One number holds its rank and, below that, its start, so that the
  // smallest number is the pair to merge. A pair that has changed since it was queued is recognized when it is taken.
  const queue = new MinHeap();
  const queued = new Float64Array(end).fill(-1);
  const queuePair = (start: number): void => {
    const middle = next[start]!;
    const rank = middle < end ? rankOf(start, middle, next[middle]!) : undefined;
    queued[start] = rank === undefined ? -1 : rank * end + start;
    if (rank !== undefined) queue.push(queued[start]!);
  };

  for (let start = 0; start < end; start = next[start]!) queuePair(start);
  for (let pair = queue.pop(); pair !== undefined; pair = queue.pop()) {
    const start = pair % end;
    if (queued[start] !== pair) continue;
    const middle = next[start]!;
    const after = next[middle]!;
    next[start] = after;
    if (after < end) previous[after] = start;
    queued[middle] = -1;
    queuePair(start);
    if (previous[start]! >= 0) queuePair(previous[start]!);
  }

  const parts: string[] = [];
  for (let start = 0; start < end; start = next[start]!) parts.push(piece.slice(start, next[start]!));
  return parts;
}

/** A binary heap: the parent of the number at `i` is at `(i - 1) >> 1`, and is never the larger of the two. */
class MinHeap {
  private readonly numbers: number[] = [];

  push(number: number): void {
    let at = this.numbers.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.numbers[parent]! <= number) break;
      this.numbers[at] = this.numbers[parent]!;
      at = parent;
    }
    this.numbers[at] = number;
  }

  /** Takes the smallest number out; undefined when there is none. */
  pop(): number | undefined {
    const smallest = this.numbers[0];
    const last = this.numbers.pop();
    const size = this.numbers.length;
    if (last === undefined || size === 0) return smallest;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && this.numbers[child + 1]! < this.numbers[child]!) child++;
      if (this.numbers[child]! >= last) break;
      this.numbers[at] = this.numbers[child]!;
      at = child;
    }
    this.numbers[at] = last;
    return smallest;
  }
}
