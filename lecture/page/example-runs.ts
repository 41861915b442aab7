import { LECTURE_PROMPTS } from "../../scripts/lecture-prompts.js";

/** A generation that the page offers: prompts, and how many tokens to add to each. */
export interface ExampleRun {
  readonly name: string;
  readonly prompts: readonly string[];
  readonly maxGenLen: number;
}

/** The table's smallest cell for the bundled model: one row of 256 tokens (the begin token is one), 32 out. */
export const TABLE_CELL: ExampleRun = {
  name: "the table’s first cell: 256 tokens in, 32 out",
  prompts: ["Once there was a king and a queen who lived in a castle. ".repeat(17).trim()],
  maxGenLen: 32,
};

/** What the reader can start with a click. */
export const EXAMPLE_RUNS: readonly ExampleRun[] = [
  { name: "the lecture’s four prompts", prompts: LECTURE_PROMPTS, maxGenLen: 32 },
  { name: "one tale", prompts: ["Once upon a time"], maxGenLen: 24 },
  { name: "two short rows", prompts: ["The king", "There was once a poor"], maxGenLen: 16 },
  TABLE_CELL,
];
