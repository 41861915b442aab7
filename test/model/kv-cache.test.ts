import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { cacheBytes, KVCache, LayerCache } from "../../src/index.js";
import { expectClose, onEveryEngine, randomIds, TINY } from "../support.js";

onEveryEngine("LayerCache", () => {
  const random = (shape: [number, number, number], seed: number) =>
    tf.tensor3d(randomIds(shape[0] * shape[1] * shape[2], seed), shape, "float32");

  it("returns what concatenation of everything appended would", () => {
    const [rows, D] = [6, 8];
    const layer = new LayerCache(rows, 20, D);
    tf.tidy(() => {
      let expected: tf.Tensor3D | undefined;
      for (const [seed, T] of [5, 1, 1, 3, 10].entries()) {
        const update = random([rows, T, D], seed);
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

  it("refuses positions beyond its room, and says both numbers", () => {
    const layer = new LayerCache(2, 4, 8);
    tf.tidy(() => {
      layer.append(random([2, 3, 8], 1), random([2, 3, 8], 2));
      const tooMany = () => layer.append(random([2, 2, 8], 1), random([2, 2, 8], 2));
      expect(tooMany).to.throw(RangeError, "room for 4 positions, position 5");
    });
    expect(layer.length).to.equal(3);
    layer.dispose();
  });
});

onEveryEngine("KVCache", () => {
  it("takes as many bytes as predicted, and gives them back", () => {
    const before = tf.memory();
    const cache = new KVCache(TINY, 3, 50);
    expect(tf.memory().numBytes - before.numBytes).to.equal(cacheBytes(TINY, 3, 50));
    expect(tf.memory().numTensors - before.numTensors).to.equal(2 * TINY.nLayers);
    cache.dispose();
    expect(tf.memory()).to.include({ numBytes: before.numBytes, numTensors: before.numTensors });
  });
});
