/**
 * Hides the future from T fed positions, the last of S.
 *
 * @returns T rows of S numbers: 0 where position S - T + t may look at position s, -1e9 where it may not
 */
export function causalMask(T: number, S: number): number[][] {
  const prevPos = S - T;
  return Array.from({ length: T }, (_, t) =>
    Array.from({ length: S }, (__, s) => (s <= prevPos + t ? 0 : -1e9)),
  );
}
