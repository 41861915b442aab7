import * as tf from "@tensorflow/tfjs-core";
import { grade } from "../../lecture/exercises/grade.js";
import { LayerCache } from "../../lecture/exercises/2-layer-cache/solution.js";
import { rotate } from "../../lecture/exercises/4-rotary-offset/solution.js";
import * as heads from "../../lecture/exercises/5-grouped-heads/solution.js";
import * as bytes from "../../lecture/exercises/6-cache-bytes/solution.js";
import { SlidingWindowCache } from "../../lecture/exercises/8-sliding-window/solution.js";
import { KVCache } from "../../src/model/kv-cache.js";
import type { Llama } from "../../src/index.js";

/** What the first failing check says of an answer; "" when all pass. */
export async function runExercise(folder: string, answer: object): Promise<string> {
  const { checks } = await import(
    new URL(`../../lecture/exercises/${folder}/checks.ts`, import.meta.url).href
  );
  return (await grade(checks(answer))).at(-1)?.problem ?? "";
}

/** A greedy generation with one cache, which feeds what `feed` takes of the tokens so far. */
const cachedGreedy =
  (feed: (tokens: number[]) => number[]) => (model: Llama, prompt: readonly number[], count: number) => {
    const tokens = [...prompt];
    const cache = new KVCache(model.config, 1, prompt.length + count);
    for (let i = 0; i < count; i++) {
      const scores = model.forward([feed(tokens)], cache).dataSync();
      tokens.push(scores.indexOf(Math.max(...scores)));
    }
    return tokens.slice(prompt.length);
  };

/** Mistakes that students make, and what they must be told. */
export const WRONG_ANSWERS: readonly { folder: string; mistake: string; answer: object; hint: RegExp }[] = [
  {
    folder: "1-causal-mask",
    mistake: "a mask made from T alone",
    answer: {
      causalMask: (T: number, S: number) =>
        Array.from({ length: T }, (_, t) => Array.from({ length: S }, (__, s) => (s <= t ? 0 : -1e9))),
    },
    hint: /all others are past/,
  },
  {
    folder: "1-causal-mask",
    mistake: "hiding a position from itself",
    answer: {
      causalMask: (T: number, S: number) =>
        Array.from({ length: T }, (_, t) => Array.from({ length: S }, (__, s) => (s < S - T + t ? 0 : -1e9))),
    },
    hint: /itself too/,
  },
  {
    folder: "1-causal-mask",
    mistake: "true and false for numbers",
    answer: {
      causalMask: (T: number, S: number) =>
        Array.from({ length: T }, (_, t) => Array.from({ length: S }, (__, s) => s <= S - T + t)),
    },
    hint: /· is 0: may look/,
  },
  {
    folder: "2-layer-cache",
    mistake: "writing at position 0 each time",
    answer: {
      LayerCache: class extends LayerCache {
        override append(keys: tf.Tensor3D, values: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] {
          const before = this.length;
          this.length = 0;
          super.append(keys, values);
          this.length = before + keys.shape[1];
          const filled = (x: tf.Tensor3D) => tf.slice(x, [0, 0, 0], [x.shape[0], this.length, x.shape[2]]);
          return [filled(this.keys), filled(this.values)];
        }
      },
    },
    hint: /not at 0/,
  },
  {
    folder: "2-layer-cache",
    mistake: "not counting what was appended",
    answer: {
      LayerCache: class extends LayerCache {
        override append(keys: tf.Tensor3D, values: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] {
          const before = this.length;
          const result = super.append(keys, values);
          this.length = before;
          return result.map((x) => tf.slice(x, 0, [x.shape[0], before, x.shape[2]])) as typeof result;
        }
      },
    },
    hint: /count them/,
  },
  {
    folder: "2-layer-cache",
    mistake: "returning all the room there is",
    answer: {
      LayerCache: class extends LayerCache {
        override append(keys: tf.Tensor3D, values: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] {
          super.append(keys, values);
          return [this.keys, this.values];
        }
      },
    },
    hint: /return the filled part/,
  },
  {
    folder: "2-layer-cache",
    mistake: "returning the keys twice",
    answer: {
      LayerCache: class extends LayerCache {
        override append(keys: tf.Tensor3D, values: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] {
          const [filled] = super.append(keys, values);
          return [filled, filled];
        }
      },
    },
    hint: /go into `this.values`/,
  },
  {
    folder: "3-stop-recomputing",
    mistake: "feeding only the last token without a cache",
    answer: {
      greedy: (model: Llama, prompt: readonly number[], count: number) => {
        const tokens = [...prompt];
        for (let i = 0; i < count; i++) {
          const cache = new KVCache(model.config, 1, 32);
          const logits = model.forward([i === 0 ? tokens : tokens.slice(-1)], cache);
          const scores = logits.dataSync();
          tokens.push(scores.indexOf(Math.max(...scores)));
          cache.dispose();
          logits.dispose();
        }
        return tokens.slice(prompt.length);
      },
    },
    hint: /what the second step feeds/,
  },
  {
    folder: "3-stop-recomputing",
    mistake: "feeding the whole text into the cache again",
    answer: { greedy: cachedGreedy((tokens) => tokens) },
    hint: /only feed what the cache does not hold yet/,
  },
  {
    folder: "3-stop-recomputing",
    mistake: "feeding one token from the start",
    answer: { greedy: cachedGreedy((tokens) => tokens.slice(-1)) },
    hint: /has to feed the whole prompt/,
  },
  {
    folder: "4-rotary-offset",
    mistake: "forgetting the offset",
    answer: {
      rotate: (x: number[][], _start: number, theta: number) => rotate(x, x.length === 1 ? _start : 0, theta),
    },
    hint: /not of their place t in the call/,
  },
  {
    folder: "4-rotary-offset",
    mistake: "pairs of neighbours",
    answer: {
      rotate: (x: number[][], start: number, theta: number) =>
        x.map((vector, t) =>
          vector.map((value, channel) => {
            const angle = (start + t) * theta ** ((-2 * Math.floor(channel / 2)) / vector.length);
            const other = channel % 2 === 0 ? -vector[channel + 1]! : vector[channel - 1]!;
            return value * Math.cos(angle) + other * Math.sin(angle);
          }),
        ),
    },
    hint: /not neighbours/,
  },
  {
    folder: "4-rotary-offset",
    mistake: "an angle that forgets the 2",
    answer: { rotate: (x: number[][], start: number, theta: number) => rotate(x, start, theta ** 0.5) },
    hint: /theta\^\(-2i\/D\)/,
  },
  {
    folder: "5-grouped-heads",
    mistake: "dealing the heads out like cards",
    answer: { ...heads, kvHeadOf: (h: number, _H: number, K: number) => h % K },
    hint: /like cards/,
  },
  {
    folder: "5-grouped-heads",
    mistake: "not rounding down",
    answer: { ...heads, kvHeadOf: (h: number, H: number, K: number) => h / (H / K) },
    hint: /round down/,
  },
  {
    folder: "5-grouped-heads",
    mistake: "dividing by the wrong number",
    answer: { ...heads, kvHeadOf: (h: number, _H: number, K: number) => Math.floor(h / K) },
    hint: /the first 4 read head 0/,
  },
  {
    folder: "5-grouped-heads",
    mistake: "mixing positions and heads",
    answer: {
      ...heads,
      group: (queries: tf.Tensor3D, H: number, K: number) => {
        const [BH, T, D] = queries.shape;
        const apart = tf.reshape(queries, [(BH / H) * K, H / K, T, D]);
        return tf.reshape(tf.transpose(apart, [0, 2, 1, 3]), [(BH / H) * K, (H / K) * T, D]);
      },
    },
    hint: /one head's T positions after the other's/,
  },
  {
    folder: "6-cache-bytes",
    mistake: "counting query heads",
    answer: {
      ...bytes,
      cacheBytes: (shape: bytes.Shape, B: number, L: number, width: number) =>
        bytes.cacheBytes({ ...shape, nKvHeads: shape.nHeads }, B, L, width),
    },
    hint: /Queries are never cached/,
  },
  {
    folder: "6-cache-bytes",
    mistake: "counting one layer",
    answer: {
      ...bytes,
      cacheBytes: (shape: bytes.Shape, B: number, L: number, width: number) =>
        bytes.cacheBytes({ ...shape, nLayers: 1 }, B, L, width),
    },
    hint: /28 times as much\. .*28 layers/,
  },
  {
    folder: "6-cache-bytes",
    mistake: "the bytes of float32",
    answer: { ...bytes, ANSWERS: { ...bytes.ANSWERS, bytesPerToken: 229_376 } },
    hint: /bfloat16 has 2/,
  },
  {
    folder: "7-ragged-batch",
    mistake: "taking token 0 for nothing",
    answer: {
      firstCurPos: () => 3,
      decide: (prompts: number[][], curPos: number, chosen: number[]) =>
        prompts.map((prompt, row) => prompt[curPos] || chosen[row]),
    },
    hint: /Id 0 is a token/,
  },
  {
    folder: "7-ragged-batch",
    mistake: "starting at the longest prompt",
    answer: { firstCurPos: () => 6, decide: () => [] },
    hint: /positions that every row has/,
  },
  {
    folder: "7-ragged-batch",
    mistake: "always the model's choice",
    answer: { firstCurPos: () => 3, decide: (_: number[][], __: number, chosen: number[]) => chosen },
    hint: /still inside their prompts/,
  },
  {
    folder: "8-sliding-window",
    mistake: "a length that stops at the window",
    answer: {
      SlidingWindowCache: class extends SlidingWindowCache {
        private seen = 0;
        override append(keys: tf.Tensor3D, values: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] {
          this.length = this.seen++;
          const result = super.append(keys, values);
          this.length = Math.min(this.seen, this.keys.shape[1]);
          return result;
        }
      },
    },
    hint: /as if it stood at the same place/,
  },
  {
    folder: "8-sliding-window",
    mistake: "returning slots that are not filled",
    answer: {
      SlidingWindowCache: class extends SlidingWindowCache {
        override append(keys: tf.Tensor3D, values: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] {
          super.append(keys, values);
          return [this.keys, this.values];
        }
      },
    },
    hint: /not filled yet are no positions/,
  },
  {
    folder: "8-sliding-window",
    mistake: "never going round",
    answer: {
      SlidingWindowCache: class extends SlidingWindowCache {
        override append(keys: tf.Tensor3D, values: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] {
          const before = this.length;
          this.length = Math.min(before, this.keys.shape[1] - 1); // the last slot again and again
          const result = super.append(keys, values);
          this.length = before + 1;
          return result;
        }
      },
    },
    hint: /slot p mod W/,
  },
];
