import { yourTurn } from "../exercise.js";

/** How many positions of every row the first step feeds. */
export function firstCurPos(prompts: readonly (readonly number[])[]): number {
  yourTurn(
    `prompts of ${prompts.map(({ length }) => length).join(", ")} tokens: the first step feeds all rows the same number of ` +
      "positions, and every row must have them. How many can that be?",
  );
}

/** The token at position curPos of each row: its own prompt's, or the model's choice. */
export function decide(
  prompts: readonly (readonly number[])[],
  curPos: number,
  chosen: readonly number[],
): number[] {
  yourTurn(
    `what stands at position ${curPos} of ${prompts.length} rows, the model having chosen ${chosen.join(", ")}`,
  );
}
