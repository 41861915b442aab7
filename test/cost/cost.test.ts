import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { cacheBytes, parameterCount, stepCost, stepSizes } from "../../src/cost/cost.js";
import { generationCost, Llama, predictMemory, steps } from "../../src/index.js";
import { KVCache } from "../../src/model/kv-cache.js";
import { PRESETS } from "../../src/model/presets.js";
import { randomWeights } from "../../src/model/random-weights.js";
import { observeWork } from "../observe-work.js";
import { onEveryBackend, onOneBackend, randomIds, TINY } from "../support.js";

describe("parameterCount", () => {
  // As on the models' own pages: 1.23 and 3.21 billion, 135 million.
  for (const [name, count] of [
    ["llama-3.2-1b", 1_235_814_400],
    ["llama-3.2-3b", 3_212_749_824],
    ["smollm2-135m", 134_515_008],
  ] as const) {
    it(`of ${name} is ${count}`, () => expect(parameterCount(PRESETS[name]!)).to.equal(count));
  }
});

onEveryBackend("randomWeights", () => {
  it("make a model that takes the memory its parameters need and chooses various tokens", async () => {
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

  it("have mean 0, the standard deviation asked for, and no two equal columns", () => {
    const { embedding, layers } = randomWeights({ ...TINY, vocabSize: 5000, nLayers: 1 });
    const { mean, variance } = tf.moments(embedding);
    expect(mean.dataSync()[0]).to.be.closeTo(0, 0.02);
    expect(Math.sqrt(variance.dataSync()[0]!)).to.be.closeTo(1, 0.02);
    const gram = tf.matMul(layers[0]!.wq, layers[0]!.wq, true, false); // products of columns; the diagonal is near 1
    const values = gram.dataSync();
    const off = values.filter((_, i) => i % (gram.shape[0] + 1) !== 0);
    expect(Math.max(...off.map(Math.abs))).to.be.below(0.9);
  });
});

onOneBackend("predictMemory", () => {
  const base = { ...TINY, vocabSize: 300, intermediateSize: 64 };
  const cases = [
    { batch: 1, input: 60, output: 3 },
    { batch: 4, input: 30, output: 8 },
    { batch: 8, input: 2, output: 4 },
    { batch: 3, input: 1, output: 40 },
  ];
  for (const { batch, input, output } of cases) {
    for (const useCache of [true, false]) {
      it(`batch ${batch}, input ${input}, output ${output}, ${useCache ? "with" : "without"} the cache: within 6 %`, async () => {
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

onEveryBackend("stepCost", () => {
  const tied = { ...TINY, tieWordEmbeddings: true, nLayers: 3, nKvHeads: 4 };
  for (const [title, config] of [
    ["untied", TINY],
    ["tied, as many K/V heads as queries'", tied],
  ] as const) {
    // prettier-ignore
    for (const [B, T, past] of [[1, 7, 0], [3, 7, 0], [1, 1, 9], [4, 1, 20], [2, 5, 6]] as const) { // prettier-ignore
      for (const useCache of past > 0 ? [true] : [true, false]) {
        it(`${title}, batch ${B}, ${T} fed after ${past}, ${useCache ? "with" : "without"} the cache: as counted`, () => {
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
    // prettier-ignore
    it(`rejects T = ${T}, S = ${S} ${useCache ? "with" : "without"} the cache`, () => {
      expect(() => stepCost(TINY, 1, T, S, useCache)).to.throw(RangeError, `got T = ${T}, S = ${S}`);
    });
  }
});

describe("generationCost", () => {
  const [B, input, output] = [3, 10, 6];
  const rowsAPosition = B * TINY.nLayers * TINY.nKvHeads;

  it("adds up the steps that the loop takes", async () => {
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

  it("computes every K/V row once with the cache, and the past's again in each step without", () => {
    const cached = generationCost(TINY, B, input, output, true);
    const uncached = generationCost(TINY, B, input, output, false);
    const positions = input + output - 1;
    expect(cached.kvRowsComputed).to.equal(rowsAPosition * positions);
    expect([cached.kvRowsRecomputed, uncached.kvRowsReused]).to.deep.equal([0, 0]);
    expect(uncached.kvRowsRecomputed).to.equal(rowsAPosition * (10 + 11 + 12 + 13 + 14));
    expect(cached.kvRowsReused).to.equal(uncached.kvRowsRecomputed);
  });
});

onEveryBackend("cacheBytes", () => {
  it("are what the cache's tensors hold, to the byte", () => {
    for (const [B, L] of [
      [1, 1],
      [3, 50],
      [8, 17],
    ] as const) {
      // prettier-ignore
      const before = tf.memory().numBytes;
      const cache = new KVCache(TINY, B, L);
      expect(tf.memory().numBytes - before).to.equal(cacheBytes(TINY, B, L));
      cache.dispose();
    }
  });
});
