import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { replaceKernel } from "../../src/backend/replace-kernel.js";
import { cacheBytes } from "../../src/cost/cost.js";
import { KVCache, LayerCache } from "../../src/model/kv-cache.js";
import type { Probe } from "../../src/index.js";
import {
  expectClose,
  onEveryBackend,
  oneBackend,
  onOneBackend,
  randomIds,
  randomLlama,
  TINY,
} from "../support.js";

onEveryBackend("LayerCache", () => {
  const random = (shape: [number, number, number], seed: number) =>
    tf.tensor3d(randomIds(shape[0] * shape[1] * shape[2], seed), shape, "float32");

  it("append returns the concatenation of all updates so far", () => {
    const [heads, D] = [6, 8];
    const layer = new LayerCache(heads, 20, D);
    tf.tidy(() => {
      let expected: tf.Tensor3D | undefined;
      for (const [seed, T] of [5, 1, 1, 3, 10].entries()) {
        const update = random([heads, T, D], seed);
        const [keys, values] = layer.append(update, tf.neg(update));
        expected = expected ? tf.concat([expected, update], 1) : update;
        expect(keys.shape).to.deep.equal(expected.shape);
        expectClose(keys.dataSync(), expected.dataSync(), 0, "keys");
        expectClose(values.dataSync(), tf.neg(expected).dataSync(), 0, "values");
      }
    });
    expect(layer.length).to.equal(20);
    layer.dispose();
  });

  it("append rejects positions beyond the capacity", () => {
    const layer = new LayerCache(2, 4, 8);
    tf.tidy(() => {
      layer.append(random([2, 3, 8], 1), random([2, 3, 8], 2));
      const tooMany = () => layer.append(random([2, 2, 8], 1), random([2, 2, 8], 2));
      expect(tooMany).to.throw(RangeError, "must be at least 5 positions, got 4");
    });
    expect(layer.length).to.equal(3);
    layer.dispose();
  });
});

onEveryBackend("KVCache", () => {
  it("takes the predicted bytes, and frees them", () => {
    const before = tf.memory();
    const cache = new KVCache(TINY, 3, 50);
    expect(tf.memory().numBytes - before.numBytes).to.equal(cacheBytes(TINY, 3, 50));
    expect(tf.memory().numTensors - before.numTensors).to.equal(2 * TINY.nLayers);
    cache.dispose();
    expect(tf.memory()).to.include({ numBytes: before.numBytes, numTensors: before.numTensors });
  });
});

onOneBackend("KVCache", () => {
  it("frees its tensors if allocation fails midway", () => {
    const fill = tf.getKernel(tf.Fill, oneBackend)!.kernelFunc;
    const before = tf.memory().numTensors;
    let remaining = 3; // of 2 · nLayers tensors: the second layer's keys can be allocated, its values cannot
    replaceKernel(tf.Fill, oneBackend, (call) => {
      if (remaining-- === 0) throw new Error("full");
      return fill(call);
    });
    try {
      expect(() => new KVCache(TINY, 1, 8)).to.throw("full");
    } finally {
      replaceKernel(tf.Fill, oneBackend, fill);
    }
    expect(tf.memory().numTensors).to.equal(before);
  });
});

onEveryBackend("A forward pass that fails midway", () => {
  it("leaves the cache unchanged, and the next pass computes the right logits", async () => {
    const model = randomLlama();
    const inputIds = (T: number, seed: number) => [randomIds(T, seed), randomIds(T, seed + 1)];
    const cache = model.createCache(2, 16);
    model.forward(inputIds(5, 1), cache).dispose();
    const { numTensors } = tf.memory();
    const failing: Probe = (name, layer) => {
      if (name === "block.output" && layer === 0) throw new Error("stop"); // layer 1 has appended nothing
    };
    for (const T of [1, 3]) {
      expect(() => model.forward(inputIds(T, 9), cache, failing)).to.throw("stop");
      expect(cache.length).to.equal(5);
    }
    expect(tf.memory().numTensors).to.equal(numTensors);
    const after = model.forward(inputIds(2, 3), cache);
    const uncached = model.forward(inputIds(5, 1).map((ids, i) => ids.concat(inputIds(2, 3)[i]!)));
    expectClose(after.dataSync(), uncached.dataSync(), 1e-4, "logits");
    tf.dispose([after, uncached]);
    cache.dispose();
    model.dispose();
  });
});
