import { yourTurn } from "../exercise.js";

/**
 * Hides the future from T fed positions, the last of S.
 *
 * @returns T rows of S numbers: 0 where position S - T + t may look at position s, -1e9 where it may not
 */
export function causalMask(T: number, S: number): number[][] {
  yourTurn(
    `causalMask(${T}, ${S}) has ${T} rows, one a fed position, of ${S} numbers, one a position so far. Fed position t ` +
      "stands at S - T + t: which positions lie in its future?",
  );
}
