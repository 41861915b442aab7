import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { BlockPool } from "../../src/cache/block-pool.js";
import { cacheKind } from "../../src/cache/cache-kind.js";
import { Codes } from "../../src/cache/codes.js";
import { BlockMemory, PagedCache } from "../../src/cache/paged-cache.js";
import { SlidingWindowCache } from "../../src/cache/sliding-window-cache.js";
import { parseConfig } from "../../src/checkpoint/hugging-face-config.js";
import { loadModel } from "../../src/checkpoint/load.js";
import { compareCaches } from "../../src/generation/compare-caches.js";
import { PromptLookup, speculate } from "../../src/generation/speculative.js";
import { compareModes, Llama, steps } from "../../src/index.js";
import { replace } from "../../lecture/bugs.js";
import { fixture, greedy, onOneBackend, randomIds, randomLlama, TINY } from "../support.js";

/** A check of a cache: it throws, or returns false, where something is wrong. */
type Check = (model: Llama) => Promise<boolean> | boolean;

/** Two sequences that share a prefix; the first must not see what the second writes. */
const forksAreIndependent: Check = (model) => {
  const memory = new BlockMemory(TINY, 20, 4);
  const prefix = new PagedCache(memory, 1, 40);
  model.forward([randomIds(6, 1)], prefix).dispose();
  const [first, second] = [prefix.fork(1), prefix.fork(1)];
  const logits = (cache: PagedCache, ids: number[]) =>
    tf.tidy(() => model.forward([ids], cache).dataSync<"float32">().slice());
  const alone = logits(first, [1, 2]);
  first.truncate(6);
  logits(first, [1]);
  logits(second, [9, 9]);
  const beside = logits(first, [2]);
  for (const cache of [first, second, prefix]) cache.dispose();
  memory.dispose();
  return alone.every((value, i) => Math.abs(value - beside[i]!) < 1e-3);
};

/** All blocks are free again after the positions were dropped. */
const truncatedBlocksAreFree: Check = (model) => {
  const memory = new BlockMemory(TINY, 20, 4);
  const cache = new PagedCache(memory, 1, 40);
  model.forward([randomIds(30, 1)], cache).dispose();
  cache.truncate(5);
  const { used } = memory.pool;
  memory.dispose();
  return used === 2;
};

/** A model that was trained with a window: the ring is exact. */
const ringIsExact: Check = async () => {
  const windowed = randomLlama({ ...TINY, slidingWindow: 6 });
  const options = { ...greedy(30), cacheKind: cacheKind({ cache: "sliding", window: 6, prefillChunk: 4 }) };
  const { difference, maxLogitDifference } = await compareModes(windowed, [randomIds(9, 1)], options);
  windowed.dispose();
  return !difference && maxLogitDifference < 1e-3;
};

/** Both modes have the model's window, so only transformers' logits show that it is the right one. */
const windowIsTransformers: Check = async () => {
  const read = (path: string) => JSON.parse(readFileSync(fixture(path), "utf8"));
  const { tokens, logits } = read("tiny/goldens.json").formats["mistral-0.1"];
  const config = parseConfig(read("tiny/mistral-0.1/config.json"), "mistral-0.1");
  const mistral = await loadModel(config, fixture("tiny/mistral-0.1"));
  const actual = mistral.forward([tokens]);
  const worst = Math.max(...actual.dataSync().map((value, i) => Math.abs(value - logits[i])));
  actual.dispose();
  mistral.dispose();
  return worst < 1e-3;
};

/** The distance between the window's first key and a sink's is 1, however long the text is. */
const sinksAreBeforeTheWindow: Check = () => {
  const distances = [20, 60].map((length) => {
    const cache = new SlidingWindowCache(TINY, 1, 128, 4, 8, 1);
    const ones = () => tf.ones<tf.Rank.R3>([TINY.nKvHeads, 1, TINY.headDim]);
    const sink = tf.tidy(() => {
      let keys: tf.Tensor3D | undefined;
      for (let p = 0; p < length; p++) {
        cache.begin(1);
        [keys] = cache.layers.map((layer) => layer.append(ones(), ones()))[0]!;
      }
      return tf.slice(keys!, [0, 0, 0], [1, 1, TINY.headDim]).dataSync<"float32">()[0]!;
    });
    cache.dispose();
    return sink;
  });
  return Math.abs(distances[0]! - distances[1]!) > 1e-3; // rotated by 12 and by 52 positions
};

/** Keys with a few channels that are large at every position, as real models have them. */
const largeChannelsSpoilNoOthers: Check = () => {
  const codes = new Codes(1, 32, 8, { bits: 4, group: 32 });
  const error = tf.tidy(() => {
    const small = tf.randomUniform<tf.Rank.R3>([1, 32, 8], -1, 1, "float32", 1);
    const x = tf.add<tf.Tensor3D>(small, tf.tensor3d([0, 0, 0, 100, 0, 0, 0, 0], [1, 1, 8]));
    codes.write(x, 0);
    return tf.max(tf.abs(tf.sub(codes.read(32), x))).dataSync()[0]!;
  });
  codes.dispose();
  return error < 2 / 15;
};

const draftedTokensAreTheSame: Check = async (model) => {
  const prompt = [1, 2, 3, 1, 2];
  const [plain, drafted]: [number[], number[]] = [[], []];
  for await (const { next } of steps(model, [prompt], greedy(20))) plain.push(next[0]!.id);
  const wrong = new PromptLookup();
  wrong.guess = (tokens, count) =>
    Array.from({ length: count }, (_, i) => ({ id: (tokens.length + i) % 61 }));
  for await (const { tokens } of speculate(model, prompt, wrong, { ...greedy(20), guesses: 3 }))
    drafted.push(...tokens);
  return `${plain}` === `${drafted}`;
};

const exactLogits =
  (settings: Parameters<typeof cacheKind>[0]): Check =>
  async (model) => {
    const compared = await compareCaches(model, [randomIds(30, 1)], cacheKind(settings), greedy(30));
    return compared.maxLogitDifference < 1e-3;
  };

/** A classic mistake in a cache, the method that it replaces, and the check that detects it. */
const BUGS: readonly { title: string; check: Check; plant: () => () => void }[] = [
  {
    title: "no copy on write",
    check: forksAreIndependent,
    plant: () => replace(BlockPool.prototype, "isShared", () => () => false),
  },
  {
    title: "truncate that keeps its blocks",
    check: truncatedBlocksAreFree,
    plant: () =>
      replace(
        PagedCache.prototype,
        "truncate",
        () =>
          function (this: PagedCache, length) {
            this.length = Math.min(this.length, length);
          },
      ),
  },
  {
    title: "a block table in the wrong order",
    check: exactLogits({ cache: "paged", blockSize: 4 }),
    plant: () =>
      replace(
        BlockMemory.prototype,
        "blocksOf",
        (blocksOf) =>
          function (this: BlockMemory, table) {
            return blocksOf.call(this, table.toReversed());
          },
      ),
  },
  {
    title: "ring off by one: a window of one position less",
    check: ringIsExact,
    plant: () =>
      replace(
        SlidingWindowCache.prototype,
        "begin",
        (begin) =>
          function (this: SlidingWindowCache, T) {
            const shorter = Object.assign(Object.create(this) as SlidingWindowCache, { window: 5 });
            return begin.call(shorter, T);
          },
      ),
  },
  {
    title: "the model's window off by one",
    check: windowIsTransformers,
    plant: () =>
      replace(
        Llama.prototype,
        "forward",
        (forward) =>
          function (this: Llama, tokens, cache, probe) {
            const config = { ...this.config, slidingWindow: this.config.slidingWindow! - 1 };
            const narrower = Object.assign(Object.create(this) as Llama, { config });
            return forward.call(narrower, tokens, cache, probe);
          },
      ),
  },
  {
    title: "sinks that are not moved",
    check: sinksAreBeforeTheWindow,
    plant: () =>
      replace(
        SlidingWindowCache.prototype,
        "begin",
        (begin) =>
          function (this: SlidingWindowCache, T) {
            const mask = begin.call(this, T);
            for (const layer of this.layers) Object.assign(layer, { shift: undefined });
            return mask;
          },
      ),
  },
  {
    title: "a scale for the wrong axis: per token instead of per channel",
    check: largeChannelsSpoilNoOthers,
    plant: () =>
      replace(
        Codes.prototype,
        "write",
        (write) =>
          function (this: Codes, x, position) {
            const spread = tf.tidy(() => tf.sub(tf.max(x), tf.min(x)).dataSync()[0]!);
            const coarse = tf.tidy(() => tf.mul<tf.Tensor3D>(tf.round(tf.div(x, spread / 15)), spread / 15));
            write.call(this, coarse, position);
            coarse.dispose();
          },
      ),
  },
];

onOneBackend("Planted bugs of caches", () => {
  let model: Llama;
  before(() => (model = randomLlama()));
  after(() => model.dispose());

  for (const { title, check, plant } of BUGS) {
    it(`${title}: detected`, async () => {
      expect(await check(model), "without the bug").to.equal(true);
      const restore = plant();
      try {
        expect(await check(model), "with the bug").to.equal(false);
      } finally {
        restore();
      }
    });
  }

  it("a guess accepted one too many: detected", async () => {
    expect(await draftedTokensAreTheSame(model)).to.equal(true);
    const accepting = new Proxy(model, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (name !== "forwardAll") return typeof value === "function" ? value.bind(target) : value;
        return (ids: readonly number[], cache: Parameters<Llama["forwardAll"]>[1]) => {
          const logits = target.forwardAll(ids, cache);
          if (ids.length === 1) return logits;
          const boosted = tf.tidy(() =>
            tf.add<tf.Tensor2D>(logits, tf.mul(tf.oneHot([ids[1]!], 61), [[100]])),
          );
          logits.dispose();
          return boosted; // the first guess wins whatever the model says
        };
      },
    });
    expect(await draftedTokensAreTheSame(accepting)).to.equal(false);
  });
});
