/** A part of a file to read. */
export interface Part<T> {
  /** Bytes that its values take once they are read, at most. */
  readonly bytes: number;
  readonly read: () => Promise<T>;
}

/**
 * Bytes that are read ahead, at most: about a layer of Llama 3.2 1B, and enough for each of the four threads that Node reads
 * files with to have a chunk of its own (see `readBytes`).
 */
const WINDOW_BYTES = 256e6;

/**
 * Reads parts in order, and ahead of their use: while the caller works on one, Node's threads read those behind it.
 *
 * @param most bytes of the parts behind the one that the caller works on that are read or being read, unless the next one
 *             alone has more
 * @throws what a read throws, at the part's turn. Whenever the generator ends, all reads have ended before it, so that their
 *         file can be closed
 */
export async function* readAhead<T>(
  parts: readonly Part<T>[],
  most = WINDOW_BYTES,
): AsyncGenerator<T, void, void> {
  const begun: { readonly bytes: number; readonly result: Promise<T> }[] = [];
  let [next, ahead] = [0, 0];
  const beginReads = (): void => {
    for (const part of parts.slice(next)) {
      if (begun.length > 0 && ahead + part.bytes > most) return;
      const result = part.read();
      result.catch(() => {}); // thrown at the part's turn
      begun.push({ bytes: part.bytes, result });
      ahead += part.bytes;
      next++;
    }
  };
  try {
    for (beginReads(); begun.length > 0;) {
      const values = await begun[0]!.result;
      ahead -= begun.shift()!.bytes;
      beginReads();
      yield values;
    }
  } finally {
    await Promise.allSettled(begun.map(({ result }) => result));
  }
}
