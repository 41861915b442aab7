import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { loadConfig, loadModel } from "../../src/checkpoint/load.js";
import { tensorflowBackend } from "../../src/backend/tensorflow-backend.js";
import { GraphLlama, InputError, loadBackend } from "../../src/index.js";
import { backends, expectRejection, fixture } from "../support.js";

describe("Weights that a graph takes from the file as they are", function () {
  before(async function () {
    if (!backends.includes("tensorflow")) this.skip();
    await loadBackend("tensorflow");
  });

  const CHECKPOINTS = { bfloat16: fixture("fairy-tales"), "float32, untied": fixture("tiny-untied") };
  const tokens = [[1, 5, 9, 2, 7]];
  const load = async (directory: string, forGraphMode: boolean) =>
    loadModel(await loadConfig(directory), directory, { forGraphMode });
  const logitsOf = (model: GraphLlama) => {
    const logits = model.forward(tokens);
    const values = logits.dataSync<"float32">();
    logits.dispose();
    return values;
  };

  for (const [stored, directory] of Object.entries(CHECKPOINTS)) {
    for (const weightType of ["float32", "bfloat16"] as const) {
      it(`give the logits of uploaded ones, bit by bit (${stored} in ${weightType})`, async () => {
        const [packed, uploaded] = await Promise.all(
          [true, false].map(
            async (forGraphMode) => new GraphLlama(await load(directory, forGraphMode), { weightType }),
          ),
        );
        expect(logitsOf(packed!)).to.deep.equal(logitsOf(uploaded!));
        packed!.prepare(2, 40); // traced again: the weights are in the first graph only
        expect(logitsOf(packed!)).to.deep.equal(logitsOf(uploaded!));
        packed!.dispose();
        uploaded!.dispose();
      });
    }
  }

  it("are freed as the graph takes them over, and with the model before that", async () => {
    const { binding } = tensorflowBackend("a test");
    const count = () => ({ native: binding.getNumOfTensors(), tensors: tf.memory().numTensors });
    const before = count();
    const model = new GraphLlama(await load(CHECKPOINTS.bfloat16, true));
    expect(count().native).to.be.greaterThan(before.native);
    logitsOf(model);
    expect(count().native).to.equal(before.native);
    model.dispose();
    (await load(CHECKPOINTS.bfloat16, true)).dispose();
    expect(count()).to.deep.equal(before);
  });

  it("are rejected with the tensor and the index of a number that is not finite", async () => {
    const directory = await mkdtemp(join(tmpdir(), "packed-"));
    try {
      await cp(CHECKPOINTS.bfloat16, directory, { recursive: true });
      const file = join(directory, "model.safetensors");
      const bytes = await readFile(file);
      const data = 8 + Number(bytes.readBigUInt64LE());
      for (const [index, word, value] of [
        [3, 0xff80, "-Infinity"],
        [6, 0x7fc0, "NaN"],
      ] as const) {
        const damaged = Buffer.from(bytes);
        damaged.writeUInt16LE(word, data + 2 * index);
        await writeFile(file, damaged);
        const sentence = new RegExp(`embed_tokens.weight must be finite, got ${value} at index ${index}$`);
        await expectRejection(load(directory, true), InputError, sentence);
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
