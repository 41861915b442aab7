/** Numbers as codes, and what they have in common. */
export interface Group {
  readonly codes: number[];
  readonly scale: number;
  readonly zero: number;
}

/** Rounds the numbers of a group to codes 0 … 2^bits - 1. */
export function quantize(x: readonly number[], bits: number): Group {
  // BEGIN SOLUTION
  // START: todo(`${2 ** bits} codes must cover all numbers from the smallest to the largest. How far apart are they?`);
  const zero = Math.min(...x);
  const scale = (Math.max(...x) - zero) / (2 ** bits - 1) || 1; // equal numbers: any scale will do
  return { codes: x.map((value) => Math.round((value - zero) / scale)), scale, zero };
  // END SOLUTION
}

/** The numbers that the codes stand for. */
export function dequantize(group: Group): number[] {
  // BEGIN SOLUTION
  // START: todo(`Code ${group.codes[0]} stands for which number? Use your scale and zero point.`);
  return group.codes.map((code) => group.zero + code * group.scale);
  // END SOLUTION
}

/** The groups of a matrix of keys, [positions][channels]. */
export function byChannel(matrix: readonly (readonly number[])[]): number[][] {
  // BEGIN SOLUTION
  // START: todo(`Your groups for ${matrix.length} positions: rows or columns?`);
  return matrix[0]!.map((_, channel) => matrix.map((row) => row[channel]!));
  // END SOLUTION
}
