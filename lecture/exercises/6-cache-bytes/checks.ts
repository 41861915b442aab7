import { cacheBytes as modelCacheBytes } from "../../../src/cost/cost.js";
import { PRESETS } from "../../../src/model/presets.js";
import { type Checks, must } from "../exercise.js";

const B3 = PRESETS["llama-3.2-3b"]!;

/** The checks of exercise 6. */
export const checks: Checks<typeof import("./solution.js")> = ({ cacheBytes, ANSWERS }) => [
  {
    title: "one layer, one head, head dim 1, one position: a key and a value",
    run: () => {
      const actual = cacheBytes({ nLayers: 1, nHeads: 1, nKvHeads: 1, headDim: 1 }, 1, 1, 4);
      must(
        actual === 8,
        `A key and a value of 4 bytes each must be 8 bytes, got ${actual}. The cache holds both.`,
      );
    },
  },
  {
    title: "KV heads count, not query heads",
    run: () => {
      const actual = cacheBytes({ nLayers: 1, nHeads: 24, nKvHeads: 8, headDim: 1 }, 1, 1, 1);
      must(
        actual === 16,
        `8 KV heads must have 16 numbers per position, got ${actual}. Queries are never cached.`,
      );
    },
  },
  {
    title: "the result is that of src/cost/cost.ts in float32",
    run: () => {
      const [actual, expected] = [cacheBytes(B3, 4, 300, 4), modelCacheBytes(B3, 4, 300)];
      must(
        actual === expected,
        `For the 3B model, 4 sequences of 300 positions must be ${expected} bytes, got ${actual}, a factor of ` +
          `${expected / actual}. Which factor is wrong: 28 layers, 4 sequences, 8 KV heads, 300 positions, head dim 128, 4 bytes?`,
      );
    },
  },
  {
    title: "bytes of one token in the 3B model's cache",
    run: () =>
      must(
        ANSWERS.bytesPerToken === 2 * 28 * 8 * 128 * 2,
        `${ANSWERS.bytesPerToken} bytes is wrong. Compute 2 · layers · KV heads · head dim · bytes per number; a number ` +
          "in bfloat16 has 2 bytes.",
      ),
  },
  {
    title: "bytes of 16 sequences of 8192 positions",
    run: () =>
      must(
        ANSWERS.bytesOf16SequencesOf8192 === 2 * 28 * 8 * 128 * 2 * 16 * 8192,
        `${ANSWERS.bytesOf16SequencesOf8192} bytes is wrong. Multiply the bytes of one token by the positions and by the ` +
          "sequences; compare the result with the model's weights, 6.4 GB.",
      ),
  },
  {
    title: "how many times smaller the cache is with grouped heads",
    run: () =>
      must(
        ANSWERS.timesSmallerByGrouping === 3,
        `${ANSWERS.timesSmallerByGrouping} times is wrong. 24 query heads share 8 KV heads.`,
      ),
  },
];
