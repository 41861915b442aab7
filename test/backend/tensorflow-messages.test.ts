import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { outOfMemory, withoutStartupLog } from "../../src/backend/tensorflow-messages.js";
import { InputError, loadBackend } from "../../src/index.js";
import { backends } from "../support.js";

describe("outOfMemory", () => {
  if (backends.includes("tensorflow")) {
    it("maps TensorFlow's own error to one sentence with the tensor's shape", async () => {
      await loadBackend("tensorflow");
      const large = () => tf.tile(tf.ones([1, 1]), [1_000_000, 1_000_000]);
      const error = outOfMemory(thrownBy(() => tf.tidy(large)));
      expect(error).to.be.instanceOf(InputError);
      expect(error!.message).to.match(
        /^TensorFlow ran out of memory allocating a float tensor of shape \[1000000,1000000\] on [CG]PU:0: use .*$/,
      );
    });
  }

  it("recognizes XLA's error and the bare status, and no other error", () => {
    const of = (message: string) => outOfMemory(new Error(message))?.message;
    expect(of("Out of memory while trying to allocate 123 bytes.")).to.contain(
      "memory allocating 123 bytes:",
    );
    expect(of("Invalid TF_Status: 8\nMessage: ?")).to.contain("ran out of memory: use");
    const cut =
      "Invalid TF_Status: 13\nMessage: 'cuLaunchKernel(function, gridX, 1, 1, blockX, 1, 1, 0, ...)' failed with '";
    expect(of(cut)).to.match(
      /^the GPU could not run an operation, .*: use a smaller batch, .* or a smaller model$/,
    );
    expect(of("Invalid TF_Status: 3\nMessage: Incompatible shapes")).to.equal(undefined);
    expect(outOfMemory("OOM when allocating")).to.equal(undefined);
  });
});

describe("withoutStartupLog", () => {
  it("removes the lines that TensorFlow always writes, and keeps all others", () => {
    const log = [
      "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
      "I0000 00:00:1.2 3 port.cc:153] oneDNN custom operations are on. You may see",
      "E0000 00:00:1.2 3 cuda_dnn.cc:1] an error",
      "ours",
    ];
    expect(withoutStartupLog(log.join("\n"))).to.equal(`${log[2]}\nours`);
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
