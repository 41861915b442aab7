import * as tf from "@tensorflow/tfjs-core";
import { type Checks, must, mustBeClose } from "../exercise.js";

/** The checks of exercise 5. */
export const checks: Checks<typeof import("./solution.js")> = ({ kvHeadOf, group }) => [
  {
    title: "adjacent query heads share a KV head",
    run: () => {
      const actual = Array.from({ length: 8 }, (_, h) => kvHeadOf(h, 8, 2));
      must(
        `${actual}` === "0,0,0,0,1,1,1,1",
        `With 8 query heads and 2 KV heads, heads 0 to 7 must use 0,0,0,0,1,1,1,1, got ${actual}. ${hint(actual)}`,
      );
      must(
        kvHeadOf(31, 32, 8) === 7,
        `In Llama 3.2 1B, head 31 of 32 must use KV head 7 of 8, got ${kvHeadOf(31, 32, 8)}.`,
      );
    },
  },
  {
    title: "the shape is [B*K, H/K*T, D]",
    run: () => {
      const actual = group(tf.zeros([2 * 8, 3, 4]), 8, 2).shape;
      must(
        `${actual}` === "4,12,4",
        `For B = 2, H = 8, K = 2, T = 3, D = 4 the shape must be [4, 12, 4], got [${actual}].`,
      );
    },
  },
  {
    title: "each query is grouped with its own KV head",
    run: () => {
      const [B, H, K, T, D] = [2, 4, 2, 3, 2];
      // Every number is the index of its head: after grouping, KV head k has the rows of heads 2k and 2k + 1.
      const heads = tf.tensor1d(Array.from({ length: B * H }, (_, i) => i % H));
      const queries = tf.tile(tf.reshape(heads, [B * H, 1, 1]), [1, T, D]) as tf.Tensor3D;
      const expected = Array.from({ length: B * K }, (_, i) =>
        Array.from({ length: (H / K) * T * D }, (__, j) => (i % K) * (H / K) + Math.floor(j / (T * D))),
      ).flat();
      mustBeClose(
        group(queries, H, K).dataSync(),
        expected,
        "The rows of a KV head must be those of its own query heads: all T positions of one head, then those of the " +
          "next. (Each number is the index of its query head.)",
      );
    },
  },
];

/** Explains a wrong answer for 8 query heads and 2 KV heads. */
function hint(actual: readonly number[]): string {
  if (actual.some((head) => !Number.isInteger(head))) return "The index of a head is an integer: round down.";
  if (`${actual}` === "0,1,0,1,0,1,0,1") {
    return "h mod K interleaves the heads: the shapes match, but every trained model generates nonsense.";
  }
  return "H/K query heads share a KV head, here 4: the first 4 use KV head 0, the next 4 use KV head 1.";
}
