/** How many positions of every row the first step feeds. */
export function firstCurPos(prompts: readonly (readonly number[])[]): number {
  return Math.min(...prompts.map(({ length }) => length));
}

/** The token at position curPos of each row: its own prompt's, or the model's choice. */
export function decide(
  prompts: readonly (readonly number[])[],
  curPos: number,
  chosen: readonly number[],
): number[] {
  return prompts.map((prompt, row) => prompt[curPos] ?? chosen[row]!);
}
