import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect } from "chai";
import { isInstalled } from "../../src/engine/tensorflow.js";
import { InputError, loadEngine } from "../../src/index.js";
import { expectClose, expectRejection, onEveryEngine, randomIds } from "../support.js";

describe("loadEngine", () => {
  it("names the engines when asked for another", () =>
    expectRejection(
      loadEngine("cuda"),
      InputError,
      /unknown engine "cuda", expected auto, tensorflow, wasm, cpu/,
    ));

  it("says how to get TensorFlow where it is not installed, and takes no other engine in its place", async function () {
    if (isInstalled()) this.skip();
    await expectRejection(
      loadEngine("tensorflow"),
      InputError,
      /tensorflow is not installed.*`npm run setup:tensorflow` gets it/,
    );
  });

  it("takes TensorFlow for auto where it is installed, else WebAssembly", async () => {
    const { name } = await loadEngine("auto");
    expect(name).to.equal(isInstalled() ? "tensorflow" : "wasm");
    expect(tf.getBackend()).to.equal(name);
  });

  it("can be asked for the same engine again", async () => {
    expect(await loadEngine("wasm")).to.deep.equal(await loadEngine("wasm"));
  });
});

onEveryEngine("slice", (engine) => {
  it("gives what a plain loop gives, for any rank, type and part", () => {
    const ranges = fc.array(
      fc
        .tuple(fc.integer({ min: 1, max: 4 }), fc.nat(), fc.nat())
        .map(([size, a, b]) => ({ size, begin: a % size, length: 1 + (b % (size - (a % size))) })),
      { minLength: 1, maxLength: engine === "tensorflow" ? 4 : 6 },
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
