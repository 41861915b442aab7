import * as tf from "@tensorflow/tfjs-core";
import { grade } from "../../lecture/exercises/grade.js";
import { LayerCache } from "../../lecture/exercises/2-layer-cache/solution.js";
import { rotate } from "../../lecture/exercises/4-rotary-offset/solution.js";
import * as heads from "../../lecture/exercises/5-grouped-heads/solution.js";
import * as bytes from "../../lecture/exercises/6-cache-bytes/solution.js";
import { SlidingWindowCache } from "../../lecture/exercises/8-sliding-window/solution.js";
import type * as cow from "../../lecture/exercises/9-copy-on-write/solution.js";
import * as ring from "../../lecture/exercises/10-ring-mask/solution.js";
import * as codes from "../../lecture/exercises/11-scale-and-zero-point/solution.js";
import * as rule from "../../lecture/exercises/12-acceptance-rule/solution.js";
import { KVCache } from "../../src/model/kv-cache.js";
import type { Llama } from "../../src/index.js";

/** The hint of the first failing check for an answer; "" if all pass. */
export async function runExercise(folder: string, answer: object): Promise<string> {
  const { checks } = await import(
    new URL(`../../lecture/exercises/${folder}/checks.ts`, import.meta.url).href
  );
  return (await grade(checks(answer))).at(-1)?.problem ?? "";
}

/** A greedy generation with one cache; `select` returns the tokens to pass in each step. */
const cachedGreedy =
  (select: (tokens: number[]) => number[]) => (model: Llama, prompt: readonly number[], count: number) => {
    const tokens = [...prompt];
    const cache = new KVCache(model.config, 1, prompt.length + count);
    for (let i = 0; i < count; i++) {
      const logits = model.forward([select(tokens)], cache).dataSync();
      tokens.push(logits.indexOf(Math.max(...logits)));
    }
    return tokens.slice(prompt.length);
  };

/** Typical mistakes, and the hint that each must produce. */
export const WRONG_ANSWERS: readonly { folder: string; mistake: string; answer: object; hint: RegExp }[] = [
  {
    folder: "1-causal-mask",
    mistake: "a mask that depends on T alone",
    answer: {
      causalMask: (T: number, S: number) =>
        Array.from({ length: T }, (_, t) => Array.from({ length: S }, (__, s) => (s <= t ? 0 : -1e9))),
    },
    hint: /All others are in the past/,
  },
  {
    folder: "1-causal-mask",
    mistake: "hiding a position from itself",
    answer: {
      causalMask: (T: number, S: number) =>
        Array.from({ length: T }, (_, t) => Array.from({ length: S }, (__, s) => (s < S - T + t ? 0 : -1e9))),
    },
    hint: /including itself/,
  },
  {
    folder: "1-causal-mask",
    mistake: "booleans instead of numbers",
    answer: {
      causalMask: (T: number, S: number) =>
        Array.from({ length: T }, (_, t) => Array.from({ length: S }, (__, s) => s <= S - T + t)),
    },
    hint: /· is 0, visible/,
  },
  {
    folder: "2-layer-cache",
    mistake: "writing at position 0 in every call",
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
    mistake: "not increasing the length",
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
    hint: /increase `this.length`/,
  },
  {
    folder: "2-layer-cache",
    mistake: "returning the whole capacity",
    answer: {
      LayerCache: class extends LayerCache {
        override append(keys: tf.Tensor3D, values: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] {
          super.append(keys, values);
          return [this.keys, this.values];
        }
      },
    },
    hint: /return only the filled part/,
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
    hint: /belong in `this.values`/,
  },
  {
    folder: "3-stop-recomputing",
    mistake: "passing only the last token with an empty cache",
    answer: {
      greedy: (model: Llama, prompt: readonly number[], count: number) => {
        const tokens = [...prompt];
        for (let i = 0; i < count; i++) {
          const cache = new KVCache(model.config, 1, 32);
          const output = model.forward([i === 0 ? tokens : tokens.slice(-1)], cache);
          const logits = output.dataSync();
          tokens.push(logits.indexOf(Math.max(...logits)));
          cache.dispose();
          output.dispose();
        }
        return tokens.slice(prompt.length);
      },
    },
    hint: /the input of the second step/,
  },
  {
    folder: "3-stop-recomputing",
    mistake: "passing the whole prefix with the cache",
    answer: { greedy: cachedGreedy((tokens) => tokens) },
    hint: /every token you pass is appended to the cache/,
  },
  {
    folder: "3-stop-recomputing",
    mistake: "passing one token from the start",
    answer: { greedy: cachedGreedy((tokens) => tokens.slice(-1)) },
    hint: /must pass the whole prompt/,
  },
  {
    folder: "4-rotary-offset",
    mistake: "forgetting the offset",
    answer: {
      rotate: (x: number[][], _start: number, theta: number) => rotate(x, x.length === 1 ? _start : 0, theta),
    },
    hint: /not on the index t in the call/,
  },
  {
    folder: "4-rotary-offset",
    mistake: "pairs of adjacent channels",
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
    mistake: "an angle without the factor 2",
    answer: { rotate: (x: number[][], start: number, theta: number) => rotate(x, start, theta ** 0.5) },
    hint: /theta\^\(-2i\/D\)/,
  },
  {
    folder: "5-grouped-heads",
    mistake: "interleaving the heads",
    answer: { ...heads, kvHeadOf: (h: number, _H: number, K: number) => h % K },
    hint: /interleaves the heads/,
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
    hint: /the first 4 use KV head 0/,
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
    hint: /all T positions of one head, then/,
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
    hint: /a factor of 28\. .*28 layers/,
  },
  {
    folder: "6-cache-bytes",
    mistake: "the bytes of float32",
    answer: { ...bytes, ANSWERS: { ...bytes.ANSWERS, bytesPerToken: 229_376 } },
    hint: /in bfloat16 has 2/,
  },
  {
    folder: "7-ragged-batch",
    mistake: "treating token 0 as missing",
    answer: {
      firstCurPos: () => 3,
      nextTokens: (prompts: number[][], curPos: number, sampled: number[]) =>
        prompts.map((prompt, i) => prompt[curPos] || sampled[i]),
    },
    hint: /Id 0 is a token/,
  },
  {
    folder: "7-ragged-batch",
    mistake: "starting at the longest prompt",
    answer: { firstCurPos: () => 6, nextTokens: () => [] },
    hint: /positions that every prompt has/,
  },
  {
    folder: "7-ragged-batch",
    mistake: "always the model's token",
    answer: { firstCurPos: () => 3, nextTokens: (_: number[][], __: number, sampled: number[]) => sampled },
    hint: /still inside their prompts/,
  },
  {
    folder: "8-sliding-window",
    mistake: "a length that stops at the window",
    answer: {
      SlidingWindowCache: class extends SlidingWindowCache {
        private count = 0;
        override append(keys: tf.Tensor3D, values: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] {
          this.length = this.count++;
          const result = super.append(keys, values);
          this.length = Math.min(this.count, this.keys.shape[1]);
          return result;
        }
      },
    },
    hint: /as if they were at the same position/,
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
    hint: /that are not filled yet/,
  },
  {
    folder: "8-sliding-window",
    mistake: "overwriting only the last slot",
    answer: {
      SlidingWindowCache: class extends SlidingWindowCache {
        override append(keys: tf.Tensor3D, values: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] {
          const before = this.length;
          this.length = Math.min(before, this.keys.shape[1] - 1); // the last slot again
          const result = super.append(keys, values);
          this.length = before + 1;
          return result;
        }
      },
    },
    hint: /slot p mod W/,
  },
  {
    folder: "9-copy-on-write",
    mistake: "writing into a shared block",
    answer: { writableBlock: (_: unknown, table: number[], i: number) => table[i] },
    hint: /must return the free block/,
  },
  {
    folder: "9-copy-on-write",
    mistake: "not counting the references",
    answer: {
      writableBlock: (pool: cow.Pool, table: number[], i: number) => {
        const block = table[i]!;
        if (pool.references[block] === 1) return block;
        const own = pool.free.pop()!;
        pool.copy(block, own);
        return (table[i] = own);
      },
    },
    hint: /is a leak/,
  },
  {
    folder: "10-ring-mask",
    mistake: "a window of one position less",
    answer: {
      ...ring,
      ringMask: (q: number, end: number, n: number, w: number) => ring.ringMask(q, end, n, w - 1),
    },
    hint: /must attend to 4,5,6/,
  },
  {
    folder: "10-ring-mask",
    mistake: "not hiding later positions of a chunk",
    answer: {
      ...ring,
      ringMask: (query: number, end: number, slots: number, window: number) =>
        Array.from({ length: slots }, (_, slot) =>
          ring.positionInSlot(slot, end, slots) > query - window ? 0 : -1e9,
        ),
    },
    hint: /already holds 6 and 7/,
  },
  {
    folder: "11-scale-and-zero-point",
    mistake: "cutting off instead of rounding",
    answer: {
      ...codes,
      quantize: (x: number[], bits: number) => {
        const { scale, zero } = codes.quantize(x, bits);
        return { codes: x.map((value) => Math.floor((value - zero) / scale + 1e-9)), scale, zero };
      },
    },
    hint: /do not cut off/,
  },
  {
    folder: "11-scale-and-zero-point",
    mistake: "a scale per token",
    answer: { ...codes, byChannel: (matrix: number[][]) => matrix },
    hint: /one per channel/,
  },
  {
    folder: "12-acceptance-rule",
    mistake: "accepting what the model finds possible",
    answer: { ...rule, accepts: (p: number[], _: number[], guess: number) => p[guess]! > 0 },
    hint: /in a third of all draws/,
  },
  {
    folder: "12-acceptance-rule",
    mistake: "drawing from the model's distribution again after a rejection",
    answer: { ...rule, afterRejection: (p: number[]) => p },
    hint: /too often/,
  },
];
