import * as tf from "@tensorflow/tfjs-core";
import { type Checks, must, mustBeClose } from "../exercise.js";

/** Numbers that name their place: row r, position p, channel d is 100r + 10p + d; of values, negative. */
const update = (start: number, T: number, sign = 1): tf.Tensor3D =>
  tf.tensor3d(
    [0, 1].map((r) =>
      Array.from({ length: T }, (_, t) => [0, 1].map((d) => sign * (100 * r + 10 * (start + t) + d))),
    ),
  );

export const checks: Checks<typeof import("./start.js")> = ({ LayerCache }) => {
  /** Appends blocks of the given sizes; returns what the last append did. */
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
      title: "the first call returns what it was given",
      run: () => {
        const { result } = appended(3);
        must(
          result[0].shape[1] !== 0,
          "You return 0 positions after 3 were appended: count them (`this.length`) before you take the filled part.",
        );
        must(
          `${result[0].shape}` === "2,3,2",
          `3 positions were appended to an empty cache, so S = 3 and the result is [2, 3, 2]; yours is [${result[0].shape}]. ` +
            "The cache has room for more positions than are filled: return the filled part.",
        );
        mustBeClose(
          result[0].dataSync(),
          update(0, 3).dataSync(),
          "The returned keys are not those that were given. The first ones belong at position 0: write at " +
            "`this.length` as it was before you counted them.",
        );
      },
    },
    {
      title: "the second call finds the first one's rows again",
      run: () => {
        const { result } = appended(3, 1);
        must(
          `${result[0].shape}` === "2,4,2",
          `After 3 and 1 positions S is 4, the result is [2, 4, 2]; yours is [${result[0].shape}]. Does the length move on?`,
        );
        mustBeClose(
          result[0].dataSync(),
          update(0, 4).dataSync(),
          "The keys of an earlier call were lost or moved. New ones belong behind those that are there, at position " +
            "`this.length`, not at 0. (100·row + 10·position + channel: the numbers name their place.)",
        );
      },
    },
    {
      title: "values are kept as well as keys, and not in their place",
      run: () => {
        const { result } = appended(2, 1, 1);
        mustBeClose(
          result[1].dataSync(),
          update(0, 4, -1).dataSync(),
          "The values are not those that were appended: they go into `this.values`, at the same positions as the keys.",
        );
      },
    },
    {
      title: "the length counts positions",
      run: () => {
        const { cache } = appended(3, 2);
        must(cache.length === 5, `After 3 and 2 positions the length is 5, yours is ${cache.length}.`);
      },
    },
    {
      title: "the tensors are written in place, not made again",
      run: () => {
        const cache = new LayerCache(2, 8, 2);
        const { keys } = cache;
        cache.append(update(0, 2), update(0, 2, -1));
        must(
          cache.keys === keys && keys.dataSync()[2] === 10,
          "The new keys are not in `this.keys`. Appending by tf.concat would copy the whole past in every step: " +
            "kvCacheWrite writes the new rows only.",
        );
      },
    },
  ];
};
