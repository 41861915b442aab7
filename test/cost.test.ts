import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { Llama, parameterCount, predictMemory, PRESETS, randomWeights, steps } from "../src/index.js";
import { onEveryEngine, onOneEngine, randomIds, TINY } from "./support.js";

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

onEveryEngine("randomWeights", () => {
  it("make a model that takes the memory its parameters need and chooses various tokens", async () => {
    const before = tf.memory().numBytes;
    const model = new Llama(TINY, randomWeights(TINY));
    expect(tf.memory().numBytes - before).to.equal(4 * parameterCount(TINY));
    const options = {
      temperature: 0,
      topP: 1,
      seed: 0,
      maxGenLen: 30,
      kvCaching: true,
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

onOneEngine("predictMemory", () => {
  const base = { ...TINY, vocabSize: 300, hiddenDim: 64 };
  const cases = [
    { batch: 1, input: 60, output: 3 },
    { batch: 4, input: 30, output: 8 },
    { batch: 8, input: 2, output: 4 },
    { batch: 3, input: 1, output: 40 },
  ];
  for (const { batch, input, output } of cases) {
    for (const kvCaching of [true, false]) {
      it(`batch ${batch}, input ${input}, output ${output}, ${kvCaching ? "with" : "without"} the cache: within 6 %`, async () => {
        const before = tf.memory().numBytes;
        const model = new Llama(base, randomWeights(base));
        let peak = 0;
        const probe = () => (peak = Math.max(peak, tf.memory().numBytes - before));
        const options = { temperature: 0, topP: 1, seed: 0, maxGenLen: output, stopIds: new Set<number>() };
        const prompts = Array.from({ length: batch }, (_, i) => randomIds(input, i));
        for await (const _ of steps(model, prompts, { ...options, kvCaching, probe }));
        model.dispose();
        const { weights, cache, activations } = predictMemory(base, batch, input, output, kvCaching);
        expect((peak - weights - cache) / activations).to.be.within(0.94, 1.06);
      });
    }
  }
});
