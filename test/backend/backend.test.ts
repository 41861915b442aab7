import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect } from "chai";
import { isInstalled } from "../../src/backend/tensorflow.js";
import { InputError, loadBackend } from "../../src/index.js";
import { expectClose, expectRejection, onEveryBackend, randomIds } from "../support.js";

describe("loadBackend", () => {
  it("names the backends when asked for another", () =>
    expectRejection(
      loadBackend("cuda"),
      InputError,
      /unknown backend "cuda", expected auto, tensorflow, wasm, cpu/,
    ));

  it("says how to get TensorFlow where it is not installed, and takes no other backend in its place", async function () {
    if (isInstalled()) this.skip();
    await expectRejection(
      loadBackend("tensorflow"),
      InputError,
      /tensorflow is not installed.*`npm run setup:tensorflow` gets it/,
    );
  });

  it("takes TensorFlow for auto where it is installed, else WebAssembly", async () => {
    const { name } = await loadBackend("auto");
    expect(name).to.equal(isInstalled() ? "tensorflow" : "wasm");
    expect(tf.getBackend()).to.equal(name);
  });

  it("can be asked for the same backend again", async () => {
    expect(await loadBackend("wasm")).to.deep.equal(await loadBackend("wasm"));
  });
});

onEveryBackend("slice", (backend) => {
  it("gives what a plain loop gives, for any rank, type and part", () => {
    const ranges = fc.array(
      fc
        .tuple(fc.integer({ min: 1, max: 4 }), fc.nat(), fc.nat())
        .map(([size, a, b]) => ({ size, begin: a % size, length: 1 + (b % (size - (a % size))) })),
      { minLength: 1, maxLength: backend === "tensorflow" ? 4 : 6 },
    );
    fc.assert(
      fc.property(
        ranges,
        fc.constantFrom("float32" as const, "int32" as const, "bool" as const),
        (dims, dtype) => {
          const shape = dims.map(({ size }) => size);
          const size = shape.reduce((a, b) => a * b);
          const values = randomIds(size, 3, dtype === "bool" ? 2 : 100);
          const inside = values.filter((_, i) => {
            let rest = i;
            return dims.toReversed().every((dim) => {
              const index = rest % dim.size;
              rest = Math.floor(rest / dim.size);
              return index >= dim.begin && index < dim.begin + dim.length;
            });
          });
          const part = tf.tidy(() =>
            tf
              .slice(
                tf.tensor(values, shape, dtype),
                dims.map(({ begin }) => begin),
                dims.map(({ length }) => length),
              )
              .dataSync(),
          );
          expectClose(part, inside, 0);
        },
      ),
    );
  });
});
