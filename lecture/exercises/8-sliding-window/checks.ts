import * as tf from "@tensorflow/tfjs-core";
import type { GenerationCache } from "../../../src/model/generation-cache.js";
import { KVCache } from "../../../src/model/kv-cache.js";
import type { Llama } from "../../../src/index.js";
import { type Checks, must, mustBeClose } from "../exercise.js";
import { TINY_CONFIG, tinyLlama } from "../tiny-llama.js";

/** The key of position p: every number is p. */
const position = (p: number): tf.Tensor3D => tf.tensor3d([p, p], [1, 1, 2]);

/** The checks of exercise 8. */
export const checks: Checks<typeof import("./solution.js")> = ({ SlidingWindowCache }) => {
  /** The positions that the cache returns after positions 0 … count-1 were appended, sorted. */
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
      title: "until the window is full, all positions are returned",
      run: () => {
        const { keys } = held(4, 3);
        must(
          `${keys}` === "0,1,2",
          `After positions 0, 1, 2 with a window of 4, the cache must return 0,1,2, got ${keys}. Do not return slots ` +
            "that are not filled yet.",
        );
      },
    },
    {
      title: "then the newest position overwrites the oldest",
      run: () => {
        const { keys, values } = held(4, 7);
        must(
          `${keys}` === "3,4,5,6",
          `After positions 0 … 6 with a window of 4, the cache must return 3,4,5,6 in any order, got ${keys}. ` +
            "Position p belongs in slot p mod W.",
        );
        must(`${values}` === "-6,-5,-4,-3", `The values must be those of positions 3 … 6, got ${values}.`);
      },
    },
    {
      title: "the capacity is W, and the length continues to count",
      run: () => {
        const { cache } = held(4, 7);
        must(cache.keys.shape[1] === 4, `The capacity must be 4, the window, got ${cache.keys.shape[1]}.`);
        must(
          cache.length === 7,
          `After 7 positions the length must be 7, got ${cache.length}: it is the next token's position for RoPE. If it ` +
            "stops at W, all later tokens are rotated as if they were at the same position.",
        );
      },
    },
    {
      title: "in the model, a window longer than the text changes nothing",
      run: () => {
        const full = logitsOf((model) => new KVCache(model.config, 1, 16));
        const windowed = logitsOf((model) => withWindow(model, 16, SlidingWindowCache));
        mustBeClose(
          windowed,
          full,
          "With W = 16 and 12 positions nothing is overwritten, so the logits must be equal.",
        );
      },
    },
    {
      title: "in the model, a short window changes the logits",
      run: () => {
        const full = logitsOf((model) => new KVCache(model.config, 1, 16));
        const windowed = logitsOf((model) => withWindow(model, 4, SlidingWindowCache));
        const difference = Math.max(...full.map((value, i) => Math.abs(value - windowed[i]!)));
        must(
          difference > 1e-3,
          "With W = 4 the logits at position 11 must differ from those without a window: are old positions overwritten?",
        );
      },
    },
  ];
};

/** Logits after 12 tokens, passed one by one. */
function logitsOf(makeCache: (model: Llama) => GenerationCache): Float32Array {
  const model = tinyLlama();
  const cache = makeCache(model);
  let logits = new Float32Array();
  for (let i = 0; i < 12; i++) {
    const output = model.forward([[(7 * i + 3) % TINY_CONFIG.vocabSize]], cache);
    logits = output.dataSync<"float32">().slice();
    output.dispose();
  }
  cache.dispose();
  model.dispose();
  return logits;
}

/** A KV cache with a window in each layer. */
function withWindow(
  { config }: Llama,
  window: number,
  Layer: typeof import("./solution.js").SlidingWindowCache,
): GenerationCache {
  const layers = Array.from(
    { length: config.nLayers },
    () => new Layer(config.nKvHeads, window, config.headDim),
  );
  return {
    layers,
    batchSize: 1,
    capacity: Infinity,
    prefillChunk: 1,
    get length() {
      return layers[0]!.length;
    },
    truncate: (length) => layers.forEach((layer) => (layer.length = length)),
    dispose: () => layers.forEach((layer) => layer.dispose()),
  };
}
