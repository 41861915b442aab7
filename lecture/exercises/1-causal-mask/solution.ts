/**
 * Hides the future from the last T of S positions.
 *
 * @returns T rows of S numbers: 0 where position S - T + t may attend to position s, -1e9 where it may not
 */
export function causalMask(T: number, S: number): number[][] {
  // BEGIN SOLUTION
  // START: todo(`causalMask(${T}, ${S}) has ${T} rows of ${S} numbers. Which s are in the future of S - T + t?`);
  const prevPos = S - T;
  return Array.from({ length: T }, (_, t) =>
    Array.from({ length: S }, (__, s) => (s <= prevPos + t ? 0 : -1e9)),
  );
  // END SOLUTION
}
