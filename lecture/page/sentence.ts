/** The chapter's text, and another word in the place of each, of as many tokens: two for the first, one for others. */
export const SENTENCE: readonly (readonly [word: string, other: string])[] = [
  ["Once", "Long"],
  ["upon", "after"],
  ["a", "the"],
  ["time", "night"],
  ["there", "he"],
  ["was", "had"],
  ["a", "the"],
  ["king", "wolf"],
  ["who", "and"],
  ["had", "saw"],
  ["a", "the"],
  ["son", "house"],
];

/** Tokens more than words: the begin token, and one of the two of "Once". */
export const EXTRA_TOKENS = 2;
