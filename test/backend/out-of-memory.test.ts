import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { outOfMemory } from "../../src/backend/out-of-memory.js";
import { InputError, loadBackend } from "../../src/index.js";
import { backends } from "../support.js";

describe("What TensorFlow says without memory", () => {
  if (backends.includes("tensorflow")) {
    it("is one sentence with the tensor there was none for", async () => {
      await loadBackend("tensorflow");
      const large = () => tf.tile(tf.ones([1, 1]), [1_000_000, 1_000_000]);
      const error = outOfMemory(thrownBy(() => tf.tidy(large)));
      expect(error).to.be.instanceOf(InputError);
      expect(error!.message).to.match(
        /^TensorFlow has no memory left for a tensor of shape \[1000000,1000000\], float on [CG]PU:0; expected .*$/,
      );
    });
  }

  it("is told apart from any other error", () => {
    const of = (message: string) => outOfMemory(new Error(message))?.message;
    expect(of("Out of memory while trying to allocate 123 bytes.")).to.contain(
      "no memory left for 123 bytes;",
    );
    expect(of("Invalid TF_Status: 8\nMessage: ?")).to.contain("no memory left; expected");
    expect(of("Invalid TF_Status: 3\nMessage: Incompatible shapes")).to.equal(undefined);
    expect(outOfMemory("OOM when allocating")).to.equal(undefined);
  });
});

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
