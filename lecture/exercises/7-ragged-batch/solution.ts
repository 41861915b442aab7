/** Number of positions of each sequence that prefill passes. */
export function firstCurPos(prompts: readonly (readonly number[])[]): number {
  // BEGIN SOLUTION
  // START: todo("Prefill passes the same number of positions of every sequence, so every prompt must have them. How many?");
  return Math.min(...prompts.map(({ length }) => length));
  // END SOLUTION
}

/** The token at position curPos of each sequence: its prompt's, or the model's. */
export function nextTokens(
  prompts: readonly (readonly number[])[],
  curPos: number,
  sampled: readonly number[],
): number[] {
  // BEGIN SOLUTION
  // START: todo(`Position ${curPos} of ${prompts.length} sequences, for which the model sampled ${sampled.join(", ")}.`);
  return prompts.map((prompt, i) => prompt[curPos] ?? sampled[i]!);
  // END SOLUTION
}
