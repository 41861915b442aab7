import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect } from "chai";
import { isInstalled } from "../../src/backend/tensorflow.js";
import { DeviceError, NativePartError } from "../../src/backend/backend.js";
import { InputError, loadBackend } from "../../src/index.js";
import { expectClose, expectRejection, onEveryBackend, randomIds } from "../support.js";

describe("loadBackend", () => {
  it("rejects an unknown name, and lists the backends", () =>
    expectRejection(
      loadBackend("cuda"),
      InputError,
      /backend must be one of auto, tensorflow, wasm, cpu, got "cuda"/,
    ));

  it("rejects TensorFlow if it is missing, without a fallback", async function () {
    if (isInstalled()) this.skip();
    await expectRejection(
      loadBackend("tensorflow"),
      NativePartError,
      /^backend tensorflow must have a native part that can be loaded, but \S+ has none$/,
    );
  });

  it("loads TensorFlow for auto if it is installed, else WebAssembly", async () => {
    const { name } = await loadBackend("auto");
    expect(name).to.equal(isInstalled() ? "tensorflow" : "wasm");
    expect(tf.getBackend()).to.equal(name);
  });

  it("can load the same backend again", async () => {
    expect(await loadBackend("wasm")).to.deep.equal(await loadBackend("wasm"));
  });

  it("rejects a device that the backend does not use, with the facts", async () => {
    const error: unknown = await loadBackend("wasm", { device: "cuda" }).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(DeviceError);
    expect(error).to.have.property("message", "device must be cpu on backend wasm, got cuda");
    expect(error).to.have.property("required", "cuda");
    expect(error).to.have.nested.property("backend.device", "cpu");
  });

  it("rejects TF32 on a CPU", () =>
    expectRejection(
      loadBackend("wasm", { tf32: true }),
      InputError,
      /^TF32 must be used on device cuda, got cpu/,
    ));
});

onEveryBackend("slice", (backend) => {
  it("equals a plain loop, for any rank, type and slice", () => {
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
