/** The chapter's text, and another word for each word that the reader can change. Every word is one token. */
export const SENTENCE: readonly (readonly [word: string, other: string])[] = [
  ["Once", ""], // two tokens
  ["upon", ""],
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
