import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import fc from "fast-check";
import { RMSNorm } from "../../src/model/rms-norm.js";
import { rotate } from "../../src/model/rotary-embedding.js";
import { expectClose, onEveryBackend, randomIds } from "../support.js";

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

onEveryBackend("RMSNorm", () => {
  it("equals its definition for any sizes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 21 }), (rows, C) => {
        tf.tidy(() => {
          const [x, weight] = [tensorOf([rows, C], 1) as tf.Tensor2D, tensorOf([C], 2) as tf.Tensor1D];
          const [numbers, factors] = [x.dataSync<"float32">(), weight.dataSync()];
          const expected = Array.from(numbers, (n, i) => {
            const row = numbers.slice(i - (i % C), i - (i % C) + C);
            const meanSquare = row.reduce((sum, one) => sum + one * one, 0) / C;
            return (n / Math.sqrt(meanSquare + 0.01)) * factors[i % C]!;
          });
          expectClose(new RMSNorm(weight, 0.01).forward(x).dataSync(), expected, 1e-5);
        });
      }),
    );
  });

  it("rejects a weight of another size", () => {
    tf.tidy(() => {
      const norm = new RMSNorm(tf.ones([3]), 0.01);
      expect(() => norm.forward(tf.ones([2, 4]))).to.throw(/must be|shapes/i);
    });
  });
});

onEveryBackend("rotate", () => {
  const sizes = fc.record({
    B: fc.integer({ min: 1, max: 3 }),
    H: fc.integer({ min: 1, max: 3 }),
    T: fc.integer({ min: 1, max: 4 }),
    half: fc.integer({ min: 1, max: 9 }),
    bySequence: fc.boolean(),
    oneRow: fc.boolean(),
  });

  it("equals its definition for any sizes; tables are of all sequences or of each, of all positions or of each", () => {
    fc.assert(
      fc.property(sizes, ({ B, H, T, half, bySequence, oneRow }) => {
        tf.tidy(() => {
          const D = 2 * half;
          const x = tensorOf([B * H, T, D], 1) as tf.Tensor3D;
          const rows = oneRow ? 1 : T;
          const shape = bySequence ? [B, 1, rows, D] : [rows, D];
          const rotation = { cos: tensorOf(shape, 2), sin: tensorOf(shape, 3) };
          const [numbers, cos, sin] = [x.dataSync(), rotation.cos.dataSync(), rotation.sin.dataSync()];
          const expected = Array.from(numbers, (n, i) => {
            const sequence = bySequence ? Math.floor(i / (H * T * D)) : 0;
            const at = sequence * rows * D + (i % (rows * D));
            return n * cos[at]! + numbers[i % D < half ? i + half : i - half]! * sin[at]!;
          });
          expectClose(rotate(x, rotation).dataSync(), expected, 1e-6);
        });
      }),
    );
  });

  it("rejects tables of other sizes", () => {
    tf.tidy(() => {
      const rotateBy = (...shape: number[]) =>
        rotate(tf.ones([4, 3, 8]), { cos: tf.ones(shape), sin: tf.ones(shape) });
      expect(() => rotateBy(2, 8)).to.throw();
      expect(() => rotateBy(3, 6)).to.throw();
      expect(() => rotateBy(3, 1, 3, 8)).to.throw();
    });
  });
});
