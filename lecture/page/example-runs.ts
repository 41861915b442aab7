import { LECTURE_PROMPTS } from "../../scripts/lecture-prompts.js";

/** A generation that the page offers: prompts and the number of tokens to generate for each. */
export interface ExampleRun {
  readonly name: string;
  readonly prompts: readonly string[];
  readonly maxGenLen: number;
}

/** The table's first case for the bundled model: one prompt of 256 tokens, begin token included, and 32 new ones. */
export const TABLE_CASE: ExampleRun = {
  name: "the table’s first case: 256 tokens in, 32 out",
  prompts: ["Once there was a king and a queen who lived in a castle. ".repeat(17).trim()],
  maxGenLen: 32,
};

/** Generations that start with one click. */
export const EXAMPLE_RUNS: readonly ExampleRun[] = [
  { name: "the lecture’s four prompts", prompts: LECTURE_PROMPTS, maxGenLen: 32 },
  { name: "one tale", prompts: ["Once upon a time"], maxGenLen: 24 },
  { name: "two short prompts", prompts: ["The king", "There was once a poor"], maxGenLen: 16 },
  TABLE_CASE,
];
