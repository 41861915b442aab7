import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { compareModes, InputError, loadCheckpoint, loadBackend, GraphLlama, steps } from "../../src/index.js";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.js";
import type { StepOptions } from "../../src/generation/options.js";
import { tensorflowBackend } from "../../src/backend/tensorflow-backend.js";
import { backends, expectClose, fixture, randomIds, randomLlama } from "../support.js";

// What transformers computes with all of the model in bfloat16; made by fixtures/make_bfloat16_goldens.py.
const { cases } = JSON.parse(readFileSync(fixture("goldens/bfloat16.json"), "utf8")) as {
  cases: { name: string; tokens: number[]; greedy: number[] }[];
};

/** Two ways of rounding to 8 bits, in every layer, on scores of up to 20, where neighbours are 0.125 apart. */
const ROUNDING = 0.6;

const GREEDY = { temperature: 0, topP: 1, seed: 0, useCache: true, stopIds: new Set<number>() };

describe("bfloat16 weights (tensorflow, recorded)", function () {
  let model: GraphLlama;
  let [bfloat16, float32]: SafetensorsFile[] = [];

  before(async function () {
    if (!backends.includes("tensorflow")) this.skip();
    await loadBackend("tensorflow");
    const checkpoint = await loadCheckpoint(fixture("fairy-tales"));
    model = new GraphLlama(checkpoint.model, { weightType: "bfloat16" });
    bfloat16 = await SafetensorsFile.open(fixture("goldens/bfloat16.safetensors"));
    float32 = await SafetensorsFile.open(fixture("goldens/goldens.safetensors"));
  });

  after(async () => {
    model?.dispose();
    await bfloat16?.close();
    await float32?.close();
  });

  const error = (scores: Float32Array, exact: Float32Array) =>
    Math.sqrt(scores.reduce((sum, score, i) => sum + (score - exact[i]!) ** 2, 0) / scores.length);

  for (const { name, tokens } of cases) {
    it(`scores "${name}" as transformers does in bfloat16, and nearer to its float32`, async () => {
      await model.prepare(1, tokens.length);
      const logits = model.forward([tokens]);
      const ours = logits.dataSync<"float32">();
      logits.dispose();
      const [theirs, exact] = [await bfloat16!.read(name), await float32!.read(`fairy-tales/${name}/logits`)];
      expectClose(ours, theirs, ROUNDING, name);
      expect(error(ours, exact)).to.be.within(1e-4, error(theirs, exact)); // it is rounded, but not everywhere
    });
  }

  for (const { name, tokens, greedy } of cases.filter((one) => one.greedy.length > 0)) {
    it(`continues "${name}" with the same ${greedy.length} tokens`, async () => {
      const chosen: number[] = [];
      for await (const { next } of steps(model, [tokens], { ...GREEDY, maxGenLen: greedy.length }))
        chosen.push(next[0]!.id);
      expect(chosen).to.deep.equal(greedy);
    });
  }
});

describe("bfloat16 weights of a random model (tensorflow, recorded)", function () {
  before(async function () {
    if (!backends.includes("tensorflow")) this.skip();
    await loadBackend("tensorflow");
  });

  const handles = () => {
    const { binding } = tensorflowBackend("a test");
    const { numTensors, numBytes } = tf.memory();
    return { numTensors, numBytes, native: binding.getNumOfTensors(), graphs: binding.getNumOfSavedModels() };
  };
  const both: StepOptions = { ...GREEDY, maxGenLen: 8 };
  const prompts = [randomIds(3, 1), randomIds(9, 2)];

  it("give both modes the same tokens", async () => {
    const model = new GraphLlama(randomLlama(), { weightType: "bfloat16" });
    const { difference, maxLogitDifference } = await compareModes(model, prompts, both);
    model.dispose();
    expect(difference).to.equal(undefined);
    expect(maxLogitDifference).to.be.below(ROUNDING);
  });

  it("are not compiled on a processor, which says so", () => {
    if (tensorflowBackend("a test").isUsingGpuDevice) return;
    const llama = randomLlama();
    const options = { xla: true, weightType: "bfloat16" } as const;
    expect(() => new GraphLlama(llama, options)).to.throw(InputError, /is for a card/);
    llama.dispose();
  });

  it("are kept when the model is recorded anew, and leave nothing behind", async () => {
    const before = handles();
    const model = new GraphLlama(randomLlama(), { weightType: "bfloat16" });
    const scores = async (rows: number) => {
      await model.prepare(rows, 8);
      const logits = model.forward(Array.from({ length: rows }, () => randomIds(5, 1)));
      const values = logits.dataSync<"float32">().slice(0, logits.shape[1]);
      logits.dispose();
      return values;
    };
    const first = await scores(1);
    await scores(3);
    expectClose(await scores(1), first, 0);
    model.dispose();
    expect(handles()).to.deep.equal(before);
  });
});
