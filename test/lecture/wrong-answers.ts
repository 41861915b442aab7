import * as tf from "@tensorflow/tfjs-core";
import { grade } from "../../lecture/exercises/grade.js";
import { LayerCache } from "../../lecture/exercises/2-layer-cache/solution.js";
import { rotate } from "../../lecture/exercises/4-rotary-offset/solution.js";
import * as heads from "../../lecture/exercises/5-grouped-heads/solution.js";
import * as bytes from "../../lecture/exercises/6-cache-bytes/solution.js";
import { SlidingWindowCache } from "../../lecture/exercises/8-sliding-window/solution.js";
import { KVCache, type Llama } from "../../src/index.js";

/** What the first failing check says of an answer; "" when all pass. */
export async function runExercise(folder: string, answer: object): Promise<string> {
  const { checks } = await import(
    new URL(`../../lecture/exercises/${folder}/checks.ts`, import.meta.url).href
  );
  return (await grade(checks(answer))).at(-1)?.problem ?? "";
}

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
    folder: "4-rotary-offset",
    mistake: "forgetting the offset",
    answer: {
      rotate: (x: number[][], _start: number, theta: number) => rotate(x, x.length === 1 ? _start : 0, theta),
    },
    hint: /not of their place t in the call/,
  },
  {
    folder: "5-grouped-heads",
    mistake: "dealing the heads out like cards",
    answer: { ...heads, kvHeadOf: (h: number, _H: number, K: number) => h % K },
    hint: /like cards/,
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
];
