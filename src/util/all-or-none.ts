/**
 * Allocates several things that own memory: all of them, or none if one fails.
 *
 * @param others disposed as well if one fails
 * @throws what `make` throws, after those made before were disposed
 */
export function allOrNone<Owner extends { dispose(): void }>(
  count: number,
  make: (i: number) => Owner,
  others: readonly { dispose(): void }[] = [],
): Owner[] {
  const made: Owner[] = [];
  try {
    while (made.length < count) made.push(make(made.length));
  } catch (error) {
    for (const one of [...made, ...others]) one.dispose(); // out of memory: leave nothing behind
    throw error;
  }
  return made;
}
