import * as tf from "@tensorflow/tfjs-core";
import { RotaryEmbedding, rotate as modelRotate } from "../../../src/model/rotary-embedding.js";
import { type Checks, must, mustBeClose } from "../exercise.js";

const THETA = 10000;
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** The checks of exercise 4. */
export const checks: Checks<typeof import("./solution.js")> = ({ rotate }) => [
  {
    title: "position 0 is not rotated",
    run: () =>
      mustBeClose(rotate([[1, 2, 3, 4]], 0, THETA)[0]!, [1, 2, 3, 4], "At position 0 every angle is 0."),
  },
  {
    title: "the first pair rotates by one radian per position",
    run: () =>
      mustBeClose(
        rotate([[1, 0, 0, 0]], 1, THETA)[0]!,
        [Math.cos(1), 0, Math.sin(1), 0],
        "Channels 0 and 2 are a pair (i and i + D/2, not neighbours); at position 1, pair 0 is rotated by 1 radian.",
      ),
  },
  {
    title: "the second pair rotates more slowly",
    run: () =>
      mustBeClose(
        rotate([[0, 1, 0, 0]], 1, THETA)[0]!,
        [0, Math.cos(0.01), 0, Math.sin(0.01)],
        "Pair i rotates by theta^(-2i/D) radians per position. i counts pairs, 0 to D/2 - 1, and D is the length of the " +
          "vector: here pair 1 of D = 4 rotates by 10000^(-1/2) = 0.01. Channels i and i + D/2 have the same angle.",
      ),
  },
  {
    title: "a call that starts at position 5 equals the end of one that starts at 0",
    run: () => {
      const x = Array.from({ length: 7 }, (_, t) => [t + 1, 2, -t, 0.5]);
      const whole = rotate(x, 0, THETA);
      const last = rotate(x.slice(5), 5, THETA);
      mustBeClose(
        last.flat(),
        whole.slice(5).flat(),
        "With the cache, the same vectors come in a later call. The angle depends on the position in the sequence, " +
          "start + t, not on the index t in the call.",
      );
    },
  },
  {
    title: "query · key depends only on their distance",
    run: () => {
      const [q, k] = [
        [0.3, -1, 2, 0.7],
        [1, 0.2, -0.4, 0.9],
      ];
      const at = (p: number, r: number) => dot(rotate([q], p, THETA)[0]!, rotate([k], r, THETA)[0]!);
      must(
        Math.abs(at(9, 4) - at(105, 100)) < 1e-6,
        "Positions 9 and 4 have the same distance as 105 and 100, so the attention scores must be equal. Are both " +
          "channels of a pair rotated by the same angle, in the same direction?",
      );
    },
  },
  {
    title: "the result is that of the model",
    run: () => {
      const x = Array.from({ length: 3 }, (_, t) =>
        Array.from({ length: 8 }, (__, d) => Math.sin(3 * t + d)),
      );
      const rotation = new RotaryEmbedding({ headDim: 8, rope: { theta: THETA } }).at(20, 23);
      const expected = modelRotate(tf.tensor3d([x]), rotation).dataSync();
      mustBeClose(
        rotate(x, 20, THETA).flat(),
        expected,
        "The result differs from that of src/model/rotary-embedding.ts.",
      );
    },
  },
];
