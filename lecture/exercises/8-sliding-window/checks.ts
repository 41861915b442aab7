import * as tf from "@tensorflow/tfjs-core";
import { KVCache } from "../../../src/model/kv-cache.js";
import type { Llama } from "../../../src/index.js";
import { type Checks, must, mustBeClose } from "../exercise.js";
import { TINY_CONFIG, tinyLlama } from "../tiny-llama.js";

/** One row, one position; every number says which position it is. */
const position = (p: number): tf.Tensor3D => tf.tensor3d([p, p], [1, 1, 2]);

export const checks: Checks<typeof import("./start.js")> = ({ SlidingWindowCache }) => {
  /** The positions that the cache returns after positions 0 … count-1 went in, sorted. */
  const held = (window: number, count: number) => {
    const cache = new SlidingWindowCache(1, window, 2);
    let result: [tf.Tensor3D, tf.Tensor3D] | undefined;
    for (let p = 0; p < count; p++) result = cache.append(position(p), position(-p));
    const positions = (tensor: tf.Tensor3D) =>
      Array.from(tensor.dataSync().filter((_, i) => i % 2 === 0)).toSorted((a, b) => a - b);
    return { cache, keys: positions(result![0]), values: positions(result![1]) };
  };
  return [
    {
      title: "until the window is full, it is an ordinary cache",
      run: () => {
        const { keys } = held(4, 3);
        must(
          `${keys}` === "0,1,2",
          `After positions 0, 1, 2 in a window of 4 it returned ${keys}, expected 0,1,2. Slots that are not ` +
            "filled yet are no positions.",
        );
      },
    },
    {
      title: "then the newest position takes the oldest one's slot",
      run: () => {
        const { keys, values } = held(4, 7);
        must(
          `${keys}` === "3,4,5,6",
          `After positions 0 … 6 in a window of 4 it returned ${keys}, expected 3,4,5,6 (in any order). Position p ` +
            "belongs into slot p mod W.",
        );
        must(
          `${values}` === "-6,-5,-4,-3",
          `The values returned are ${values}, expected those of positions 3 … 6.`,
        );
      },
    },
    {
      title: "it never has room for more than W, and counts on",
      run: () => {
        const { cache } = held(4, 7);
        must(cache.keys.shape[1] === 4, `The window is 4, the keys have room for ${cache.keys.shape[1]}.`);
        must(
          cache.length === 7,
          `After 7 positions the length is ${cache.length}, expected 7: the model rotates the next query by it. A length ` +
            "that stops at W would turn every later token as if it stood at the same place.",
        );
      },
    },
    {
      title: "in the model, a window as long as the text changes nothing",
      run: () => {
        const whole = logitsOf((model) => new KVCache(model.config, 1, 16));
        const windowed = logitsOf((model) => withWindow(model, 16, SlidingWindowCache));
        mustBeClose(
          windowed,
          whole,
          "With W = 16 and 12 positions nothing is forgotten, so the scores must be equal.",
        );
      },
    },
    {
      title: "in the model, a short window forgets",
      run: () => {
        const whole = logitsOf((model) => new KVCache(model.config, 1, 16));
        const windowed = logitsOf((model) => withWindow(model, 4, SlidingWindowCache));
        const difference = Math.max(...whole.map((value, i) => Math.abs(value - windowed[i]!)));
        must(
          difference > 1e-3,
          "With W = 4 the scores of position 11 are the same as without a window: was anything forgotten?",
        );
      },
    },
  ];
};

/** The scores after 12 tokens, fed one by one. */
function logitsOf(makeCache: (model: Llama) => KVCache): Float32Array {
  const model = tinyLlama();
  const cache = makeCache(model);
  let scores = new Float32Array();
  for (let i = 0; i < 12; i++) {
    const logits = model.forward([[(7 * i + 3) % TINY_CONFIG.vocabSize]], cache);
    scores = logits.dataSync<"float32">().slice();
    logits.dispose();
  }
  cache.dispose();
  model.dispose();
  return scores;
}

/** A generation's cache whose layers are windows: the model asks a layer only for `append` and `length`. */
function withWindow(
  { config }: Llama,
  window: number,
  Layer: typeof import("./start.js").SlidingWindowCache,
): KVCache {
  const cache = new KVCache(config, 1, 1);
  cache.dispose();
  const layers = cache.layers.map(() => new Layer(config.nKvHeads, window, config.headDim));
  return Object.assign(Object.create(cache) as KVCache, { layers });
}
