import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { cacheKind } from "../../src/cache/cache-kind.js";
import { memoryLimits } from "../../src/backend/memory-limit.js";
import { cacheBytes, parameterCount, stepCost, stepSizes } from "../../src/cost/cost.js";
import { checkGenerationFits } from "../../src/cost/memory-check.js";
import { generationCost, InputError, Llama, loadBackend, predictMemory, steps } from "../../src/index.js";
import { KVCache } from "../../src/model/kv-cache.js";
import { PRESETS } from "../../src/model/presets.js";
import { randomWeights } from "../../src/model/random-weights.js";
import { observeWork } from "../observe-work.js";
import { onEveryBackend, randomIds, TINY } from "../support.js";

describe("parameterCount", () => {
  // As on the models' pages: 1.23 billion, 3.21 billion and 135 million.
  for (const [name, count] of [
    ["llama-3.2-1b", 1_235_814_400],
    ["llama-3.2-3b", 3_212_749_824],
    ["smollm2-135m", 134_515_008],
  ] as const) {
    it(`is ${count} for ${name}`, () => expect(parameterCount(PRESETS[name]!)).to.equal(count));
  }
});

onEveryBackend("randomWeights", () => {
  it("makes a model of the predicted size that generates varied tokens", async () => {
    const before = tf.memory().numBytes;
    const model = new Llama(TINY, randomWeights(TINY));
    expect(tf.memory().numBytes - before).to.equal(4 * parameterCount(TINY));
    const options = {
      temperature: 0,
      topP: 1,
      seed: 0,
      maxGenLen: 30,
      useCache: true,
      stopIds: new Set<number>(),
    };
    const chosen = new Set<number>();
    for await (const { next } of steps(model, [[1], [2], [3]], options))
      for (const { id } of next) chosen.add(id);
    expect(chosen.size).to.be.above(8);
    model.dispose();
    expect(tf.memory().numBytes).to.equal(before);
  });

  it("has mean 0, the requested standard deviation, and no two equal columns", () => {
    const { embedding, layers } = randomWeights({ ...TINY, vocabSize: 5000, nLayers: 1 });
    const { mean, variance } = tf.moments(embedding);
    expect(mean.dataSync()[0]).to.be.closeTo(0, 0.02);
    expect(Math.sqrt(variance.dataSync()[0]!)).to.be.closeTo(1, 0.02);
    const gram = tf.matMul(layers[0]!.wq, layers[0]!.wq, true, false); // dot products of columns; the diagonal is near 1
    const values = gram.dataSync();
    const off = values.filter((_, i) => i % (gram.shape[0] + 1) !== 0);
    expect(Math.max(...off.map(Math.abs))).to.be.below(0.9);
  });
});

describe("predictMemory", () => {
  // As the layers are written: WebAssembly needs less, because it normalises and rotates in one call.
  before(() => loadBackend("cpu"));

  const base = { ...TINY, vocabSize: 300, intermediateSize: 64 };
  const cases = [
    { batch: 1, input: 60, output: 3 },
    { batch: 4, input: 30, output: 8 },
    { batch: 8, input: 2, output: 4 },
    { batch: 3, input: 1, output: 40 },
  ];
  for (const { batch, input, output } of cases) {
    for (const useCache of [true, false]) {
      it(`is within 6% of the measured peak: batch ${batch}, input ${input}, output ${output}, ${useCache ? "with" : "without"} the cache`, async () => {
        const before = tf.memory().numBytes;
        const model = new Llama(base, randomWeights(base));
        let peak = 0;
        const probe = () => (peak = Math.max(peak, tf.memory().numBytes - before));
        const options = { temperature: 0, topP: 1, seed: 0, maxGenLen: output, stopIds: new Set<number>() };
        const prompts = Array.from({ length: batch }, (_, i) => randomIds(input, i));
        for await (const _ of steps(model, prompts, { ...options, useCache, probe }));
        model.dispose();
        const { weights, cache, activations } = predictMemory(base, { batch, input, output, useCache });
        expect((peak - weights - cache) / activations).to.be.within(0.94, 1.06);
      });
    }
  }
});

describe("Predictions for a GPU", () => {
  const llama = PRESETS["llama-3.2-1b"]!;
  const inOneChunk = cacheKind({ cache: "plain", prefillChunk: 8192 });
  const size = { batch: 1, input: 8192, output: 32, useCache: true, cacheKind: inOneChunk };
  const gibibytes = (longestChunk?: number) =>
    predictMemory(llama, { ...size, longestChunk }).activations / 2 ** 30;

  it("follow the chunks in which a prompt is computed", () => {
    expect(gibibytes()).to.be.within(40, 50);
    expect(gibibytes(512)).to.be.within(2, 3);
    expect(predictMemory(llama, { ...size, cacheKind: undefined }).activations / 2 ** 30).to.be.within(
      1,
      1.5,
    );
    const short = (longestChunk?: number) =>
      predictMemory(llama, { ...size, input: 256, longestChunk }).activations;
    expect(short(512) / short()).to.be.within(1, 1.1); // its calls attend to the whole capacity
  });

  it("follow the bucket of the cache that calls read", () => {
    const at = (input: number, capacity: number) =>
      predictMemory(llama, { ...size, cacheKind: undefined, input, longestChunk: 512, capacity }).activations;
    expect(at(256, 131072)).to.equal(at(256, 4096));
    expect(at(256, 131072)).to.be.lessThan(at(256, 4064));
    expect(at(2100, 131072)).to.be.greaterThan(at(1900, 131072));
    expect(at(1000, 4090), "capacities are rounded up").to.equal(at(1000, 4096));
  });

  describe("of attention scores", () => {
    before(() => loadBackend("cpu"));
    after(() => loadBackend("cpu"));

    it("reject more of them than a kernel counts, and name the longest prompt", () => {
      memoryLimits.set("cpu", { bytes: 1e12, source: "of a GPU", elements: 2 ** 31 - 1 });
      expect(() => checkGenerationFits(llama, size)).to.throw(
        InputError,
        "a batch of 1 with 8192 prompt tokens and 32 to generate must have at most 2147483647 attention scores in a " +
          "layer on backend cpu, got 2147483648: a prompt of 8191 tokens would fit",
      );
      checkGenerationFits(llama, { ...size, input: 8191 });
      checkGenerationFits(llama, { ...size, longestChunk: 512 });
      expect(() => checkGenerationFits(llama, { ...size, batch: 4, input: 5000 })).to.throw(
        "a batch of 2 would fit",
      );
    });

    it("and of memory name the longest prompt that fits where no batch does", () => {
      memoryLimits.set("cpu", { bytes: 20 * 2 ** 30, source: "of a GPU" });
      expect(() => checkGenerationFits(llama, size)).to.throw(
        /must fit in 20\.0 GiB on backend cpu of a GPU, got 4\d\.\d GiB: a prompt of 5\d{3} tokens would fit$/,
      );
    });
  });
});

onEveryBackend("stepCost", () => {
  const tied = { ...TINY, tieWordEmbeddings: true, nLayers: 3, nKvHeads: 4 };
  for (const [title, config] of [
    ["untied", TINY],
    ["tied, as many KV heads as query heads", tied],
  ] as const) {
    for (const [B, T, past] of [
      [1, 7, 0],
      [3, 7, 0],
      [1, 1, 9],
      [4, 1, 20],
      [2, 5, 6],
    ] as const) {
      for (const useCache of past > 0 ? [true] : [true, false]) {
        it(`equals the work observed: ${title}, batch ${B}, T = ${T} after ${past} positions, ${useCache ? "with" : "without"} the cache`, () => {
          expect(stepCost(config, B, T, past + T, useCache)).to.deep.equal(
            observeWork(config, B, T, past, useCache),
          );
        });
      }
    }
  }

  for (const [T, S, useCache] of [
    [0, 0, true],
    [5, 4, true],
    [1, 4, false],
  ] as const) {
    it(`rejects T = ${T}, S = ${S} ${useCache ? "with" : "without"} the cache`, () => {
      expect(() => stepCost(TINY, 1, T, S, useCache)).to.throw(RangeError, `got T = ${T}, S = ${S}`);
    });
  }
});

describe("generationCost", () => {
  const [B, input, output] = [3, 10, 6];
  const pairsPerPosition = B * TINY.nLayers * TINY.nKvHeads;

  it("is the sum of the costs of the loop's steps", async () => {
    for (const useCache of [true, false]) {
      const model = new Llama(TINY, randomWeights(TINY));
      const options = { temperature: 0, topP: 1, seed: 0, maxGenLen: output, stopIds: new Set<number>() };
      const taken: [number, number][] = [];
      const prompts = Array.from({ length: B }, (_, i) => randomIds(input, i));
      for await (const { prevPos, curPos } of steps(model, prompts, { ...options, useCache }))
        taken.push([curPos - prevPos, curPos]);
      model.dispose();
      expect(stepSizes(input, output, useCache)).to.deep.equal(taken);
      const cost = generationCost(TINY, B, input, output, useCache);
      const parts = taken.map(([T, S]) => stepCost(TINY, B, T, S, useCache));
      expect(cost.steps).to.deep.equal(parts);
      expect(cost.flops).to.equal(parts.reduce((sum, { flops }) => sum + flops, 0));
    }
  });

  it("counts each K/V pair once with the cache; without it, past ones again in every step", () => {
    const cached = generationCost(TINY, B, input, output, true);
    const uncached = generationCost(TINY, B, input, output, false);
    const positions = input + output - 1;
    expect(cached.kvPairsComputed).to.equal(pairsPerPosition * positions);
    expect([cached.kvPairsRecomputed, uncached.kvPairsReused]).to.deep.equal([0, 0]);
    expect(uncached.kvPairsRecomputed).to.equal(pairsPerPosition * (10 + 11 + 12 + 13 + 14));
    expect(cached.kvPairsReused).to.equal(uncached.kvPairsRecomputed);
  });
});

onEveryBackend("cacheBytes", () => {
  it("equals the bytes of the cache's tensors", () => {
    for (const [B, L] of [
      [1, 1],
      [3, 50],
      [8, 17],
    ] as const) {
      const before = tf.memory().numBytes;
      const cache = new KVCache(TINY, B, L);
      expect(tf.memory().numBytes - before).to.equal(cacheBytes(TINY, B, L));
      cache.dispose();
    }
  });
});
