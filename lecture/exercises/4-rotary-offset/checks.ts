import * as tf from "@tensorflow/tfjs-core";
import { RotaryEmbedding, rotate as modelsRotate } from "../../../src/model/rotary-embedding.js";
import { type Checks, must, mustBeClose } from "../exercise.js";

const THETA = 10000;
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

export const checks: Checks<typeof import("./start.js")> = ({ rotate }) => [
  {
    title: "position 0 is not turned",
    run: () =>
      mustBeClose(rotate([[1, 2, 3, 4]], 0, THETA)[0]!, [1, 2, 3, 4], "At position 0 every angle is 0."),
  },
  {
    title: "the first pair turns by one radian a position",
    run: () =>
      mustBeClose(
        rotate([[1, 0, 0, 0]], 1, THETA)[0]!,
        [Math.cos(1), 0, Math.sin(1), 0],
        "Channels 0 and 2 are a pair (i and i + D/2, not neighbours); at position 1 pair 0 has turned by 1 radian.",
      ),
  },
  {
    title: "the second pair turns more slowly",
    run: () =>
      mustBeClose(
        rotate([[0, 1, 0, 0]], 1, THETA)[0]!,
        [0, Math.cos(0.01), 0, Math.sin(0.01)],
        "Pair i turns by theta^(-2i/D) radians a position. i counts pairs, 0 to D/2 - 1, and D is the whole width: here " +
          "pair 1 of D = 4 turns by 10000^(-1/2) = 0.01. Channel i + D/2 turns by the same angle as channel i.",
      ),
  },
  {
    title: "a call that begins at position 5 is the end of one that begins at 0",
    run: () => {
      const x = Array.from({ length: 7 }, (_, t) => [t + 1, 2, -t, 0.5]);
      const whole = rotate(x, 0, THETA);
      const last = rotate(x.slice(5), 5, THETA);
      mustBeClose(
        last.flat(),
        whole.slice(5).flat(),
        "With the cache the same vectors come in a later call. The angle is that of their position in the text, " +
          "start + t, not of their place t in the call.",
      );
    },
  },
  {
    title: "query · key depends on their distance alone",
    run: () => {
      const [q, k] = [
        [0.3, -1, 2, 0.7],
        [1, 0.2, -0.4, 0.9],
      ];
      const at = (p: number, r: number) => dot(rotate([q], p, THETA)[0]!, rotate([k], r, THETA)[0]!);
      must(
        Math.abs(at(9, 4) - at(105, 100)) < 1e-6,
        "Positions 9 and 4 are as far apart as 105 and 100, so the scores must be equal: this is why a key can be " +
          "cached. Do both channels of a pair turn by the same angle, in the same direction?",
      );
    },
  },
  {
    title: "it agrees with the model",
    run: () => {
      const x = Array.from({ length: 3 }, (_, t) =>
        Array.from({ length: 8 }, (__, d) => Math.sin(3 * t + d)),
      );
      const rotation = new RotaryEmbedding({ headDim: 8, rope: { theta: THETA } }).at(20, 23);
      const expected = modelsRotate(tf.tensor3d([x]), rotation).dataSync();
      mustBeClose(rotate(x, 20, THETA).flat(), expected, "src/model/rotary-embedding.ts turns it otherwise.");
    },
  },
];
