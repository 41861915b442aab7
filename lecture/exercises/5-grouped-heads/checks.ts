import * as tf from "@tensorflow/tfjs-core";
import { type Checks, must, mustBeClose } from "../exercise.js";

export const checks: Checks<typeof import("./start.js")> = ({ kvHeadOf, group }) => [
  {
    title: "neighbouring query heads share a key/value head",
    run: () => {
      const seen = Array.from({ length: 8 }, (_, h) => kvHeadOf(h, 8, 2));
      must(
        `${seen}` === "0,0,0,0,1,1,1,1",
        `With 8 query heads and 2 key/value heads, heads 0 to 7 read ${seen}; expected 0,0,0,0,1,1,1,1. ${hint(seen)}`,
      );
      must(
        kvHeadOf(31, 32, 8) === 7,
        `In Llama 3.2 1B the last of 32 heads reads the last of 8, yours ${kvHeadOf(31, 32, 8)}.`,
      );
    },
  },
  {
    title: "the shape is [B*K, H/K*T, D]",
    run: () => {
      const seen = group(tf.zeros([2 * 8, 3, 4]), 8, 2).shape;
      must(
        `${seen}` === "4,12,4",
        `For B = 2, H = 8, K = 2, T = 3, D = 4 it is [4, 12, 4]; yours is [${seen}].`,
      );
    },
  },
  {
    title: "each query meets the keys of its own head",
    run: () => {
      const [B, H, K, T, D] = [2, 4, 2, 3, 2];
      // Query of head h is h everywhere: after grouping, rows of key/value head k hold heads 2k and 2k + 1.
      const heads = tf.tensor1d(Array.from({ length: B * H }, (_, i) => i % H));
      const queries = tf.tile(tf.reshape(heads, [B * H, 1, 1]), [1, T, D]) as tf.Tensor3D;
      const expected = Array.from({ length: B * K }, (_, i) =>
        Array.from({ length: (H / K) * T * D }, (__, j) => (i % K) * (H / K) + Math.floor(j / (T * D))),
      ).flat();
      mustBeClose(
        group(queries, H, K).dataSync(),
        expected,
        "The rows of a key/value head must be those of its own query heads, one head's T positions after the other's. " +
          "(Each number is the head it came from.)",
      );
    },
  },
];

/** What an answer for 8 and 2 heads looks like it has done. */
function hint(seen: readonly number[]): string {
  if (seen.some((head) => !Number.isInteger(head))) return "A head's number is whole: round down.";
  if (`${seen}` === "0,1,0,1,0,1,0,1") {
    return "h mod K deals the heads out like cards: the shapes fit, and every trained model talks nonsense.";
  }
  return "H/K query heads share a key/value head, here 4: the first 4 read head 0, the next 4 head 1.";
}
