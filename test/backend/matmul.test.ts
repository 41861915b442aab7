import * as tf from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { expect } from "chai";
import fc from "fast-check";
import { kvCacheWrite } from "../../src/backend/kv-cache-write.js";
import { expectClose, onEveryBackend, randomIds } from "../support.js";

const size = fc.oneof(
  fc.integer({ min: 1, max: 5 }),
  fc.constantFrom(7, 15, 16, 17, 31, 32, 33, 48, 65, 100),
);

const matmuls = fc.record({
  batch: fc.constantFrom<number[]>([], [1], [3], [2, 2]),
  M: size,
  N: size,
  K: size,
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
});

/** Values between -1 and 1, of any shape. */
const numbers = (shape: number[], seed: number): tf.Tensor =>
  tf.tensor(
    randomIds(tf.util.sizeFromShape(shape), seed, 2000).map((id) => id / 1000 - 1),
    shape,
  );

/** The matmul by its definition, in doubles. */
function byDefinition(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  { batch, M, N, K, transposeA, transposeB }: typeof matmuls extends fc.Arbitrary<infer Case> ? Case : never,
): number[] {
  const out: number[] = [];
  for (let g = 0; g < tf.util.sizeFromShape(batch); g++) {
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          sum +=
            a[g * M * K + (transposeA ? k * M + m : m * K + k)]! *
            b[g * N * K + (transposeB ? n * K + k : k * N + n)]!;
        }
        out.push(sum);
      }
    }
  }
  return out;
}

/** The size of the heap. */
const heapBytes = (backend: BackendWasm): number => {
  const { HEAPU8 } = backend.wasm as unknown as { HEAPU8: Uint8Array }; // missing in its types
  return HEAPU8.length;
};

onEveryBackend("matMul", (backend) => {
  it("equals its definition, batched or not, transposed or not, for any sizes", () => {
    fc.assert(
      fc.property(matmuls, (sizes) => {
        const { batch, M, N, K, transposeA, transposeB } = sizes;
        tf.tidy(() => {
          const a = numbers([...batch, ...(transposeA ? [K, M] : [M, K])], 1);
          const b = numbers([...batch, ...(transposeB ? [N, K] : [K, N])], 2);
          const product = tf.matMul(a, b, transposeA, transposeB);
          expect(product.shape).to.deep.equal([...batch, M, N]);
          expectClose(product.dataSync(), byDefinition(a.dataSync(), b.dataSync(), sizes), 1e-5 * K);
        });
      }),
      { numRuns: backend === "cpu" ? 50 : 300 },
    );
  });

  it("reads what was written into a cache since the last matmul", () => {
    tf.tidy(() => {
      const cases = [1, 3].flatMap((heads) => [1, 8, 15, 16].map((D) => [heads, D] as const));
      for (const [heads, D] of cases) {
        const cache = tf.zeros<tf.Rank.R3>([heads, 4, D]);
        const one = tf.ones<tf.Rank.R3>([heads, 2, D]);
        const weights = tf.ones<tf.Rank.R3>([heads, 2, 4]);
        const sums = () => [
          tf.sum(tf.matMul(one, cache, false, true)).dataSync()[0],
          tf.sum(tf.matMul(weights, cache)).dataSync()[0],
          tf.sum(tf.matMul(tf.transpose(weights, [0, 2, 1]), cache, true)).dataSync()[0],
        ];
        expect(sums()).to.deep.equal([0, 0, 0]);
        kvCacheWrite(cache, tf.ones<tf.Rank.R3>([heads, 1, D]), 2);
        const sum = 2 * D * heads;
        expect(sums(), `[${heads}, 4, ${D}]`).to.deep.equal([sum, sum, sum]);
      }
    });
  });

  it("rejects inner sizes that differ", () => {
    tf.tidy(() => {
      const a = tf.zeros([2, 3, 16]);
      expect(() => tf.matMul(a, tf.zeros([2, 17, 16]))).to.throw();
      expect(() => tf.matMul(a, tf.zeros([2, 3, 17]), false, true)).to.throw();
    });
  });

  it("leaks no memory", () => {
    const heap = () => (backend === "wasm" ? heapBytes(tf.backend() as BackendWasm) : 0);
    const once = () =>
      tf.tidy(() => {
        const [keys, values] = [tf.ones([4, 256, 64]), tf.ones([4, 256, 64])];
        const scores = tf.matMul(tf.ones([4, 3, 64]), keys, false, true);
        tf.matMul(scores, values);
        tf.matMul(scores, tf.ones([4, 256, 8]));
        tf.matMul(tf.ones([512, 64]), tf.ones([64, 3]));
        tf.matMul(tf.ones([2, 64]), tf.ones([64, 512]));
      });
    for (let i = 0; i < 5; i++) once();
    const before = { ...tf.memory(), ids: tf.engine().backend.numDataIds(), heap: heap() };
    for (let i = 0; i < (backend === "cpu" ? 5 : 300); i++) once();
    const after = { ...tf.memory(), ids: tf.engine().backend.numDataIds(), heap: heap() };
    expect(after).to.deep.equal(before);
  });
});

onEveryBackend("matMul of a batch and a single matrix", (backend) => {
  it("multiplies each matrix by it, and rejects different batch shapes", function () {
    if (backend !== "wasm") this.skip(); // TensorFlow.js's own kernels do not check the shapes
    tf.tidy(() => {
      const batch = numbers([2, 3, 5, 16], 1);
      const one = numbers([16, 33], 2);
      const expected = tf.matMul(tf.reshape(batch, [30, 16]), one).dataSync();
      const transposed = tf.transpose(one);
      expectClose(tf.matMul(batch, one).dataSync(), expected, 1e-5);
      expectClose(tf.matMul(batch, transposed, false, true).dataSync(), expected, 1e-5);
      expectClose(tf.matMul(batch, tf.reshape(one, [1, 1, 16, 33])).dataSync(), expected, 1e-5);
      for (const N of [8, 33]) {
        expect(() => tf.matMul(batch, tf.zeros([3, 16, N]))).to.throw(
          "batch shapes must be equal, or one a single matrix, got [2,3] and [3]",
        );
      }
    });
  });
});
