import { cacheBytes as modelsCacheBytes } from "../../../src/cost/cost.js";
import { PRESETS } from "../../../src/model/presets.js";
import { type Checks, must } from "../exercise.js";

const B3 = PRESETS["llama-3.2-3b"]!;

export const checks: Checks<typeof import("./start.js")> = ({ cacheBytes, ANSWERS }) => [
  {
    title: "one layer, one head, one number a head, one position: a key and a value",
    run: () => {
      const seen = cacheBytes({ nLayers: 1, nHeads: 1, nKvHeads: 1, headDim: 1 }, 1, 1, 4);
      must(seen === 8, `A key and a value of 4 bytes are 8 bytes, yours says ${seen}. The cache holds both.`);
    },
  },
  {
    title: "it counts key/value heads, not query heads",
    run: () => {
      const seen = cacheBytes({ nLayers: 1, nHeads: 24, nKvHeads: 8, headDim: 1 }, 1, 1, 1);
      must(
        seen === 16,
        `8 key/value heads make 16 numbers a position, yours says ${seen}. Queries are never cached.`,
      );
    },
  },
  {
    title: "it agrees with src/cost/cost.ts in float32",
    run: () => {
      const [seen, expected] = [cacheBytes(B3, 4, 300, 4), modelsCacheBytes(B3, 4, 300)];
      must(
        seen === expected,
        `For the 3B model, 4 rows of 300 positions: yours says ${seen}, expected ${expected}, ${expected / seen} times as ` +
          "much. Which is missing, or there too often: 28 layers, 4 rows, 8 key/value heads, 300 positions, width 128, 4 bytes?",
      );
    },
  },
  {
    title: "what one token costs in the 3B model's cache",
    run: () =>
      must(
        ANSWERS.bytesPerToken === 2 * 28 * 8 * 128 * 2,
        `You say ${ANSWERS.bytesPerToken} bytes. It is 2 · layers · key/value heads · head width · bytes a number, and a ` +
          "number in bfloat16 has 2.",
      ),
  },
  {
    title: "what 16 rows of 8192 positions cost",
    run: () =>
      must(
        ANSWERS.bytesOf16RowsOf8192 === 2 * 28 * 8 * 128 * 2 * 16 * 8192,
        `You say ${ANSWERS.bytesOf16RowsOf8192} bytes. It is what one token costs, times all tokens of all rows; ` +
          "compare it with the model's weights, 6.4 GB.",
      ),
  },
  {
    title: "how many times smaller grouping makes it",
    run: () =>
      must(
        ANSWERS.timesSmallerByGrouping === 3,
        `You say ${ANSWERS.timesSmallerByGrouping} times. 24 query heads share 8 key/value heads.`,
      ),
  },
];
