import type { ChapterId } from "./chapters.js";

/** Minutes of a chapter, and notes for the lecturer. */
interface Note {
  readonly minutes: number;
  /** For each build, in its order. */
  readonly builds: readonly string[];
  readonly text: readonly string[];
}

/**
 * Notes of each chapter for a lecture of 45 minutes; chapters without minutes are for questions. The chapter "After the
 * cache" is a second lecture, with notes for each topic.
 */
export const NOTES: Readonly<Record<Exclude<ChapterId, "after">, Note>> = {
  start: {
    minutes: 2,
    builds: [
      "Say nothing about transformers yet. Both sides have passed the prompt, in the same way.",
      "Let both sides run to the end. Ask: what is the same, and what differs?",
      "The text is the same; the area is not. The area is work.",
    ],
    text: [],
  },
  waste: {
    minutes: 4,
    builds: [
      "Let them answer before you go on. Most say one; ask how they know.",
      "Point at a column: the key of one token, computed again in every row. The change is rounding, below 0.0001.",
      "The area of a triangle: half the square of the length.",
    ],
    text: [
      "A key and a value are vectors that attention needs of every token. Chapter 3 shows their numbers.",
    ],
  },
  why: {
    minutes: 8,
    builds: [
      "A vote: does replacing the tenth word change the first?",
      "Nothing above the word changes. Layer 0 changes only in the word’s own row: there, keys depend on nothing but the token.",
      "Everything below the word changes. So a server can share what requests have in common at their beginning.",
      "“Why not cache the queries?” Only the newest token’s query is used in a step. The earlier ones have done their work.",
      "“Does a key not depend on its distance?” RoPE rotates it by its own position; the distance comes from the query’s rotation.",
    ],
    text: ["With a mouse: click on other words."],
  },
  cache: {
    minutes: 8,
    builds: [
      "Each row is a token’s key and value, in one head of one layer.",
      "One new row. The code is the whole of the cache: two writes, and a view of what is stored.",
      "One dot product for each key: how well does it match the query?",
      "Large scores take nearly everything. This is the only place where tokens look at each other.",
      "The result is one vector, as large as a value. Nothing else is needed of the earlier tokens.",
    ],
    text: [
      "With a keyboard: h changes the head, l the layer; some heads look at the token before, others far back.",
    ],
  },
  loop: {
    minutes: 6,
    builds: [
      "Write 0:curPos and prevPos:curPos on the board before you go on.",
      "The marked line is the whole difference. Let them say both slices of the next step aloud.",
      "7:8 and 0:8. What will the last step be?",
      "One box against 37. The next token is the same in every step.",
    ],
    text: ["With a keyboard: → shows any other step."],
  },
  cost: {
    minutes: 7,
    builds: [
      "Collect guesses. Then explain the lines: up to the bend, memory is the limit; after it, arithmetic.",
      "The weights are read once for 256 tokens: about 100 operations per byte.",
      "The weights are read for one token: half an operation per byte. Without the cache, decode looks like prefill.",
      "A batch moves decode to the right. That is why servers batch.",
      "The time saved is less than the operations saved, and it grows with the batch.",
    ],
    text: [],
  },
  memory: {
    minutes: 5,
    builds: [
      "Let them guess. Every factor of the product has a slider.",
      "59 requests, and the weights are smaller than their caches. At 131,072 positions, one cache is larger than the weights.",
      "Fewer KV heads, or one compressed vector: DeepSeek V3 has 128 heads and a small cache.",
    ],
    text: ["With a mouse: move the sliders for positions and bits."],
  },
  break: {
    minutes: 5,
    builds: [
      "A vote: with, without, both? The bug forgets where the call starts.",
      "Without the cache every call does start at 0, so only one side breaks. Homework: the exercises.",
    ],
    text: [
      "With a mouse: choose other bugs. Head grouping breaks both sides in the same way, and only a reference finds it.",
      "RoPE one too far: the tokens may stay equal while the logits differ.",
      "The lecture ends here. Chapter 8 is a second lecture.",
    ],
  },
  batch: {
    minutes: 0,
    builds: [],
    text: ["For the question: what if the prompts have different lengths?"],
  },
  tables: {
    minutes: 0,
    builds: [],
    text: ["For the question: what did you measure, and on which machine?"],
  },
  traces: { minutes: 0, builds: [], text: ["For the question: does it work for my text?"] },
};
