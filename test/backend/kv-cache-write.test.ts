import * as tf from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import { expect } from "chai";
import fc from "fast-check";
import { kvCacheWrite } from "../../src/backend/kv-cache-write.js";
import { expectClose, onEveryBackend, randomIds } from "../support.js";

const shapes = fc.record({
  heads: fc.integer({ min: 1, max: 5 }),
  L: fc.integer({ min: 1, max: 9 }),
  D: fc.integer({ min: 1, max: 9 }),
  T: fc.integer({ min: 1, max: 9 }),
  position: fc.integer({ min: 0, max: 8 }),
});

onEveryBackend("KVCacheWrite", (name) => {
  const numbers = (shape: [number, number, number], seed: number) =>
    tf.tensor3d(randomIds(shape[0] * shape[1] * shape[2], seed), shape, "float32");

  it("equals concat(before, update, after), for any shapes", () => {
    fc.assert(
      fc.property(shapes, ({ heads, L, D, T, position }) => {
        fc.pre(position + T <= L);
        tf.tidy(() => {
          const cache = numbers([heads, L, D], 1);
          const update = numbers([heads, T, D], 2);
          const before = tf.slice(cache, [0, 0, 0], [heads, position, D]);
          const after = tf.slice(cache, [0, position + T, 0], [heads, L - position - T, D]);
          const expected = tf.concat([before, update, after], 1).dataSync().slice();
          kvCacheWrite(cache, update, position);
          expectClose(cache.dataSync(), expected, 0);
        });
      }),
    );
  });

  it("writes into the cache's own memory and makes no new tensor", () => {
    const cache = tf.zeros<tf.Rank.R3>([2, 6, 4]);
    const update = tf.ones<tf.Rank.R3>([2, 1, 4]);
    const alias = tf.reshape(cache, [12, 4]); // shares the memory, on every backend
    const before = tf.memory();
    kvCacheWrite(cache, update, 3);
    expect(tf.memory()).to.include({ numTensors: before.numTensors, numBytes: before.numBytes });
    const written = tf.sum(alias, 1);
    expectClose(written.dataSync(), [0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 0, 0], 0, "seen through the alias");
    tf.dispose([cache, update, alias, written]);
  });

  it("leaks no handle of the native library", function () {
    if (name !== "tensorflow") this.skip(); // the others have no handles that TensorFlow.js does not count
    const backend = tf.backend() as NodeJSKernelBackend;
    const cache = numbers([2, 6, 4], 1);
    const update = numbers([2, 1, 4], 2);
    kvCacheWrite(cache, update, 0); // uploads both first
    const { binding } = backend;
    let handles = 0;
    const counting: Pick<typeof binding, "createTensor" | "executeOp" | "deleteTensor"> = {
      createTensor: (...call) => (handles++, binding.createTensor(...call)),
      executeOp: (...call) => ((handles += call[3]), binding.executeOp(...call)),
      deleteTensor: (...call) => (handles--, binding.deleteTensor(...call)),
    };
    backend.binding = Object.create(binding, Object.getOwnPropertyDescriptors(counting)) as typeof binding;
    try {
      kvCacheWrite(cache, update, 3);
    } finally {
      backend.binding = binding;
    }
    expect(handles).to.equal(0);
    tf.dispose([cache, update]);
  });

  it("uploads the row indices once for all caches of a step", function () {
    if (name !== "tensorflow") this.skip();
    const backend = tf.backend() as NodeJSKernelBackend;
    const caches = [numbers([2, 6, 4], 1), numbers([2, 6, 4], 3)];
    const update = numbers([2, 1, 4], 2);
    for (const cache of caches) kvCacheWrite(cache, update, 0); // uploads them first
    const { binding } = backend;
    let uploads = 0;
    const createTensor: typeof binding.createTensor = (...call) => {
      if (call[1] === binding.TF_FLOAT) uploads++;
      return binding.createTensor(...call);
    };
    backend.binding = Object.create(binding, {
      createTensor: { value: createTensor },
    }) as typeof binding;
    try {
      for (const cache of caches) kvCacheWrite(cache, update, 5);
    } finally {
      backend.binding = binding;
    }
    expect(uploads).to.equal(1);
    tf.dispose([...caches, update]);
  });

  it("rejects an update whose shape or position does not fit", () => {
    tf.tidy(() => {
      const cache = numbers([2, 6, 4], 1);
      const message = /cannot write \[.*\] at position -?\d of a cache of \[2,6,4\]/;
      expect(() => kvCacheWrite(cache, numbers([2, 3, 4], 1), 4)).to.throw(RangeError, message);
      expect(() => kvCacheWrite(cache, numbers([2, 3, 4], 1), -1)).to.throw(RangeError, message);
      expect(() => kvCacheWrite(cache, numbers([1, 3, 4], 1), 0)).to.throw(RangeError, message);
      expect(() => kvCacheWrite(cache, numbers([2, 3, 5], 1), 0)).to.throw(RangeError, message);
    });
  });
});
