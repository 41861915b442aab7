/**
 * The ids of a pre-token by tiktoken's rules: its own id if it is a token; otherwise its bytes are merged, always the two
 * neighbours whose union has the lowest rank.
 *
 * @param preToken one byte per character, as `atob` returns
 * @param ranks the id of every token in the same format; every single byte must have one
 */
export function bytePairMerge(preToken: string, ranks: ReadonlyMap<string, number>): number[] {
  const id = ranks.get(preToken);
  if (id !== undefined) return [id];
  const parts = mergePairs(preToken, (start, _middle, end) => ranks.get(preToken.slice(start, end)));
  return parts.map((part) => ranks.get(part)!);
}

/**
 * Merges the characters of a pre-token: always the two neighbours whose pair has the lowest rank, the leftmost on a tie,
 * until no pair has a rank.
 *
 * The pairs are in a heap, so n characters take O(n log n). js-tiktoken looks at all pairs for each merge, O(n²), and
 * `@huggingface/tokenizers` makes an object and a JSON text for each pair. The algorithm is tiktoken's
 * `_byte_pair_merge_large`, https://github.com/openai/tiktoken/blob/main/src/lib.rs.
 *
 * @param rankOf the rank of the pair of the parts `start` to `middle` and `middle` to `end`
 * @returns the remaining parts in order
 */
export function mergePairs(
  preToken: string,
  rankOf: (start: number, middle: number, end: number) => number | undefined,
): string[] {
  // A part is identified by its start; `next` and `previous` link the parts.
  const end = preToken.length;
  const next = new Int32Array(end);
  const previous = new Int32Array(end);
  for (let start = 0, before = -1; start < end; before = start, start = next[start]!) {
    next[start] = start + (preToken.codePointAt(start)! > 0xffff ? 2 : 1);
    previous[start] = before;
  }

  // A pair is identified by the start of its left part. One number holds its rank and start, so that the smallest number
  // is the next pair to merge. `queued` has the latest number of each pair; older ones are skipped.
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
  for (let start = 0; start < end; start = next[start]!) parts.push(preToken.slice(start, next[start]!));
  return parts;
}

/** A binary heap in an array: the parent of the number at `i` is at `(i - 1) >> 1`, and never larger. */
export class MinHeap {
  constructor(private readonly numbers: number[] = []) {}

  /** Adds a number. */
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

  /** Removes and returns the smallest number; undefined if there is none. */
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
