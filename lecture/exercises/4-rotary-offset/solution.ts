/**
 * Turns T vectors of D numbers that stand at positions start … start + T - 1.
 *
 * Pair i (channels i and i + D/2) turns by theta^(-2i/D) radians a position.
 */
export function rotate(x: readonly (readonly number[])[], start: number, theta: number): number[][] {
  return x.map((vector, t) => {
    const half = vector.length / 2;
    const angle = (i: number) => (start + t) * theta ** ((-2 * i) / vector.length);
    return vector.map((value, channel) => {
      const i = channel % half;
      const other = channel < half ? -vector[channel + half]! : vector[i]!;
      return value * Math.cos(angle(i)) + other * Math.sin(angle(i));
    });
  });
}
