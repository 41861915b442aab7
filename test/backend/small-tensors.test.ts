import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import fc from "fast-check";
import { onEveryBackend, randomIds } from "../support.js";

/** A shape, and one that is broadcast to it: dimensions of 1, or fewer of them. */
const shapes = fc
  .array(fc.tuple(fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 19), fc.boolean()), { minLength: 1, maxLength: 4 })
  .chain((dims) =>
    fc.record({
      large: fc.constant(dims.map(([size]) => size)),
      small: fc.nat(dims.length).map((from) => dims.slice(from).map(([size, one]) => (one ? 1 : size))),
      swap: fc.boolean(),
    }),
  );

const tensorOf = (shape: number[], seed: number): tf.Tensor =>
  tf.tensor(
    randomIds(tf.util.sizeFromShape(shape), seed, 2000).map((id) => id / 1000 - 1),
    shape,
  );

onEveryBackend("add and mul", (backend) => {
  it("equal their definitions, for any shapes, one of which is broadcast to the other", () => {
    fc.assert(
      fc.property(shapes, ({ large, small, swap }) => {
        tf.tidy(() => {
          const [x, y] = [tensorOf(large, 1), tensorOf(small, 2)];
          const [numbers, repeated] = [x.dataSync(), tf.broadcastTo(y, large).dataSync()];
          const [a, b] = swap ? [y, x] : [x, y];
          const sum = numbers.map((n, i) => n + repeated[i]!);
          const product = numbers.map((n, i) => n * repeated[i]!);
          for (const [result, expected] of [
            [tf.add(a, b), sum],
            [tf.mul(a, b), product],
          ] as const) {
            expect(result.shape).to.deep.equal(large);
            expect(result.dataSync()).to.deep.equal(expected);
          }
        });
      }),
      { numRuns: backend === "wasm" ? 500 : 50 },
    );
  });

  it("add integers as integers, and accept empty tensors", () => {
    tf.tidy(() => {
      const sum = tf.add(tf.tensor1d([1, 2, 3, 4], "int32"), tf.scalar(2, "int32"));
      expect(sum.dtype).to.equal("int32");
      expect([...sum.dataSync()]).to.deep.equal([3, 4, 5, 6]);
      expect(tf.add(tf.zeros([0, 3]), tf.ones([3])).shape).to.deep.equal([0, 3]);
    });
  });
});
