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

/** The same for two things of each layer, such as keys and values; `make` is called with 0 for the first of a layer, else 1. */
export function pairsOrNone<Owner extends { dispose(): void }>(
  layers: number,
  make: (half: 0 | 1) => Owner,
): [Owner, Owner][] {
  const made = allOrNone(2 * layers, (i) => make(i % 2 === 0 ? 0 : 1));
  return Array.from({ length: layers }, (_, i) => [made[2 * i]!, made[2 * i + 1]!]);
}
