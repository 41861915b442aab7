import * as tf from "@tensorflow/tfjs-core";
import { type Checks, must, mustBeClose } from "../exercise.js";

/** Numbers that show their index: head i, position p, channel d is 100i + 10p + d, negative for values. */
const update = (start: number, T: number, sign = 1): tf.Tensor3D =>
  tf.tensor3d(
    [0, 1].map((i) =>
      Array.from({ length: T }, (_, t) => [0, 1].map((d) => sign * (100 * i + 10 * (start + t) + d))),
    ),
  );

/** The checks of exercise 2. */
export const checks: Checks<typeof import("./solution.js")> = ({ LayerCache }) => {
  /** Appends blocks of the given sizes; returns the result of the last append. */
  const appended = (...sizes: number[]) => {
    const cache = new LayerCache(2, 8, 2);
    let start = 0;
    let result: [tf.Tensor3D, tf.Tensor3D] | undefined;
    for (const T of sizes) {
      result = cache.append(update(start, T), update(start, T, -1));
      start += T;
    }
    return { cache, result: result! };
  };
  return [
    {
      title: "the first call returns its own keys",
      run: () => {
        const { result } = appended(3);
        must(
          result[0].shape[1] !== 0,
          "Your result has 0 positions after 3 were appended: increase `this.length` before you slice.",
        );
        must(
          `${result[0].shape}` === "2,3,2",
          `After 3 positions S is 3, so the result must be [2, 3, 2], got [${result[0].shape}]. ` +
            "The capacity is larger than that: return only the filled part.",
        );
        mustBeClose(
          result[0].dataSync(),
          update(0, 3).dataSync(),
          "The returned keys differ from those that were appended. The first ones belong at position 0: write at " +
            "`this.length` before you increase it.",
        );
      },
    },
    {
      title: "the second call also returns the keys of the first",
      run: () => {
        const { result } = appended(3, 1);
        must(
          `${result[0].shape}` === "2,4,2",
          `After 3 and 1 positions S is 4, so the result must be [2, 4, 2], got [${result[0].shape}]. Does ` +
            "`this.length` increase with every call?",
        );
        mustBeClose(
          result[0].dataSync(),
          update(0, 4).dataSync(),
          "The keys of an earlier call were lost or moved. New keys belong after them, at position `this.length`, " +
            "not at 0. (Each number is 100·head + 10·position + channel.)",
        );
      },
    },
    {
      title: "values are stored as well as keys",
      run: () => {
        const { result } = appended(2, 1, 1);
        mustBeClose(
          result[1].dataSync(),
          update(0, 4, -1).dataSync(),
          "The returned values differ from those that were appended: values belong in `this.values`, at the same " +
            "positions as the keys.",
        );
      },
    },
    {
      title: "the length is the number of positions",
      run: () => {
        const { cache } = appended(3, 2);
        must(cache.length === 5, `After 3 and 2 positions the length must be 5, got ${cache.length}.`);
      },
    },
    {
      title: "the tensors are written in place",
      run: () => {
        const cache = new LayerCache(2, 8, 2);
        const { keys } = cache;
        cache.append(update(0, 2), update(0, 2, -1));
        must(
          cache.keys === keys && keys.dataSync()[2] === 10,
          "The new keys are not in `this.keys`. Appending with tf.concat would copy the whole past in every step: " +
            "kvCacheWrite writes only the new positions.",
        );
      },
    },
  ];
};
