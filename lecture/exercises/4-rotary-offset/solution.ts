/**
 * Rotates T vectors of D numbers at positions start … start + T - 1.
 *
 * Pair i (channels i and i + D/2) rotates by theta^(-2i/D) radians per position.
 */
export function rotate(x: readonly (readonly number[])[], start: number, theta: number): number[][] {
  // BEGIN SOLUTION
  // START: todo(`Rotate ${x.length} vectors from position ${start}. What is the angle of pair 0 of the first? Of pair 1?`);
  return x.map((vector, t) => {
    const half = vector.length / 2;
    const angle = (i: number) => (start + t) * theta ** ((-2 * i) / vector.length);
    return vector.map((value, channel) => {
      const i = channel % half;
      const other = channel < half ? -vector[channel + half]! : vector[i]!;
      return value * Math.cos(angle(i)) + other * Math.sin(angle(i));
    });
  });
  // END SOLUTION
}
