import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { replaceKernel } from "../../src/backend/replace-kernel.js";
import { cacheKind, type CacheSettings } from "../../src/cache/cache-kind.js";
import { compareCaches } from "../../src/generation/compare-caches.js";
import { type Llama, predictMemory, type Probe, steps } from "../../src/index.js";
import type { CacheKind, GenerationCache } from "../../src/model/generation-cache.js";
import {
  expectClose,
  greedy,
  onEveryBackend,
  onOneBackend,
  oneBackend,
  randomIds,
  randomLlama,
  TINY,
} from "../support.js";

/** Every cache, with settings small enough that blocks, rings and groups end within the tests' texts. */
const CACHES: readonly CacheSettings[] = [
  { cache: "plain" },
  { cache: "plain", prefillChunk: 3 },
  { cache: "paged", blockSize: 4 },
  { cache: "paged", blockSize: 1, prefillChunk: 5 },
  { cache: "sliding", window: 12, prefillChunk: 5 },
  { cache: "sliding", window: 8, sinks: 2 },
  { cache: "quantized", bits: 8, keys: "token" },
  { cache: "quantized", bits: 8, prefillChunk: 40 },
  { cache: "quantized", bits: 4, keys: "channel" },
];

const CAPACITY = 100;
const ids = (T: number, seed: number) => [randomIds(T, seed), randomIds(T, seed + 50)];

/** The logits after each of some calls, which the cache gets one after the other. */
function logitsOf(model: Llama, cache: GenerationCache, calls: readonly number[][][]): Float32Array[] {
  return calls.map((tokens) => {
    const logits = model.forward(tokens, cache);
    const values = logits.dataSync<"float32">().slice();
    logits.dispose();
    return values;
  });
}

const CALLS = [ids(70, 1), ids(1, 2), ids(1, 3), ids(4, 4)];

for (const settings of CACHES) {
  const kind: CacheKind = cacheKind(settings);

  onEveryBackend(`Cache: ${kind.name}, chunks of ${kind.prefillChunk}`, () => {
    let model: Llama;
    let cache: GenerationCache;
    let before: tf.MemoryInfo;
    beforeEach(() => {
      model = randomLlama();
      before = tf.memory();
      cache = model.createCache(2, CAPACITY, kind);
    });
    afterEach(() => {
      cache.dispose();
      expect(tf.memory().numTensors, "tensors left").to.equal(before.numTensors);
      model.dispose();
    });

    it("takes the predicted bytes", () => {
      const predicted = kind.bytes(TINY, 2, CAPACITY);
      expect(tf.memory().numBytes - before.numBytes).to.equal(predicted);
      expect(
        predictMemory(TINY, { batch: 2, input: 40, output: 60, useCache: true, cacheKind: kind }).cache,
      ).to.equal(predicted);
    });

    it("counts the positions seen, and keeps no tensor of a call", () => {
      const { numTensors } = tf.memory();
      logitsOf(model, cache, CALLS);
      expect(cache.length).to.equal(76);
      expect(tf.memory().numTensors).to.equal(numTensors);
    });

    it("has the state before a call again after an error in the middle of it", () => {
      const expected = logitsOf(model, cache, CALLS);
      cache.truncate(0);
      const failing: Probe = (name, layer) => {
        if (name === "block.output" && layer === 0) throw new Error("stop"); // layer 1 has appended nothing
      };
      const actual = CALLS.map((tokens) => {
        const { length } = cache;
        expect(() => model.forward(tokens, cache, failing)).to.throw("stop");
        expect(cache.length).to.equal(length);
        return logitsOf(model, cache, [tokens])[0]!;
      });
      for (const [i, logits] of actual.entries()) expectClose(logits, expected[i]!, 0, `call ${i}`);
    });

    it("computes the same logits again after the last call's positions were dropped", () => {
      const calls = CALLS.slice(0, 3);
      logitsOf(model, cache, calls);
      const [expected] = logitsOf(model, cache, [ids(3, 4)]);
      cache.truncate(72);
      const [actual] = logitsOf(model, cache, [ids(3, 4)]);
      expectClose(actual!, expected!, 0);
    });

    it("keeps a state that it can restore after any truncation, or none", () => {
      const tokens = randomIds(70, 1).map((id, i) => [id, randomIds(70, 51)[i]!]);
      const slice = (from: number, to: number) =>
        [0, 1].map((b) => tokens.slice(from, to).map((pair) => pair[b]!));
      logitsOf(model, cache, [slice(0, 30), slice(30, 62)]);
      cache.truncate(37);
      expect([0, 37]).to.include(cache.length);
      const [actual] = logitsOf(model, cache, [slice(cache.length, 40)]);
      const fresh = model.createCache(2, CAPACITY, kind);
      const [expected] = logitsOf(model, fresh, [slice(0, 40)]);
      fresh.dispose();
      const lossy = kind.maxDivergence(TINY, 40) > 0 && cache.capacity !== Infinity;
      expectClose(actual!, expected!, lossy ? 1 : 1e-3);
    });

    it("rejects positions beyond its capacity", () => {
      if (cache.capacity === Infinity) return;
      expect(() => model.forward(ids(CAPACITY + 1, 1), cache)).to.throw(
        RangeError,
        /must be at least 10\d positions/,
      );
      expect(cache.length).to.equal(0);
    });

    it("is as close to the plain cache as its kind promises", async () => {
      const prompts = [randomIds(7, 1), randomIds(60, 2)];
      const bound = kind.maxDivergence(TINY, 76);
      const { maxLogitDifference, divergence, sameTop1 } = await compareCaches(
        model,
        prompts,
        kind,
        greedy(16),
      );
      if (bound > 0) expect(divergence).to.be.within(0, bound);
      else expect([maxLogitDifference < 1e-4, sameTop1]).to.deep.equal([true, 1]);
    });
  });
}

onEveryBackend("An exact cache", () => {
  for (const settings of [
    { cache: "paged", blockSize: 16 },
    { cache: "paged", blockSize: 5 },
    { cache: "sliding", window: 128 },
  ] as const) {
    it(`has exactly the plain cache's logits: ${cacheKind(settings).name}`, () => {
      const model = randomLlama();
      const [plain, cache] = [undefined, cacheKind(settings)].map((kind) =>
        model.createCache(2, CAPACITY, kind),
      );
      const [expected, actual] = [plain!, cache!].map((one) => logitsOf(model, one, CALLS));
      for (const [i, logits] of actual!.entries()) expectClose(logits, expected![i]!, 0, `call ${i}`);
      plain!.dispose();
      cache!.dispose();
      model.dispose();
    });
  }
});

onOneBackend("Chunked prefill", () => {
  it("takes memory that grows with the prompt's length, and not with its square", async () => {
    const model = randomLlama({ ...TINY, maxSeqLen: 4096 });
    const peakOf = async (length: number): Promise<number> => {
      const before = tf.memory().numBytes;
      let peak = 0;
      const probe = () => (peak = Math.max(peak, tf.memory().numBytes - before));
      const options = { ...greedy(2), probe, cacheKind: cacheKind({ cache: "plain", prefillChunk: 16 }) };
      for await (const _ of steps(model, [randomIds(length, 1)], options));
      const size = { batch: 1, input: length, output: 2, useCache: true, cacheKind: options.cacheKind };
      const { cache, activations } = predictMemory(model.config, size);
      expect(peak / (cache + activations)).to.be.within(0.9, 1.1);
      return peak;
    };
    const [short, long] = [await peakOf(256), await peakOf(1024)];
    expect(long / short).to.be.below(4.2);
    model.dispose();
  });
});

onOneBackend("A cache of any kind", () => {
  for (const settings of CACHES) {
    it(`leaves no tensor if allocation fails midway: ${cacheKind(settings).name}`, () => {
      const fill = tf.getKernel(tf.Fill, oneBackend)!.kernelFunc;
      const before = tf.memory().numTensors;
      let remaining = 3;
      replaceKernel(tf.Fill, oneBackend, (call) => {
        if (remaining-- === 0) throw new Error("full");
        return fill(call);
      });
      try {
        expect(() => cacheKind(settings).create(TINY, 1, 8)).to.throw("full");
      } finally {
        replaceKernel(tf.Fill, oneBackend, fill);
      }
      expect(tf.memory().numTensors).to.equal(before);
    });
  }

  it("must have settings in range", () => {
    expect(() => cacheKind({ cache: "paged", blockSize: 0 })).to.throw(
      "blockSize must be a whole number >= 1, got 0",
    );
    expect(() => cacheKind({ cache: "sliding", sinks: -1 })).to.throw(
      "sinks must be a whole number >= 0, got -1",
    );
    const odd = { ...TINY, headDim: 6 };
    expect(() => cacheKind({ cache: "quantized", bits: 4 }).create(odd, 1, 8)).to.throw("multiple of 8");
  });
});
