import { yourTurn } from "../exercise.js";

/**
 * Turns T vectors of D numbers that stand at positions start … start + T - 1.
 *
 * Pair i (channels i and i + D/2) turns by theta^(-2i/D) radians a position.
 */
export function rotate(x: readonly (readonly number[])[], start: number, theta: number): number[][] {
  yourTurn(
    `turn ${x.length} vectors, the first at position ${start}, theta ${theta}. By how many radians does pair 0 of the ` +
      "first one turn? And pair 1?",
  );
}
