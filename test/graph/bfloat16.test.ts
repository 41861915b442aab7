import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { compareModes, InputError, loadCheckpoint, loadBackend, GraphLlama, steps } from "../../src/index.js";
import { diskFile } from "../../src/checkpoint/directory.js";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.js";
import type { StepOptions } from "../../src/generation/options.js";
import { tensorflowBackend } from "../../src/backend/tensorflow-backend.js";
import { backends, expectClose, fixture, randomIds, randomLlama } from "../support.js";

// What transformers computes with the whole model in bfloat16; made by fixtures/make_bfloat16_goldens.py.
const { cases } = JSON.parse(readFileSync(fixture("goldens/bfloat16.json"), "utf8")) as {
  cases: { name: string; tokens: number[]; greedy: number[] }[];
};

/** Largest difference of one logit between two bfloat16 computations: logits reach 20, where neighbours are 0.125 apart. */
const ROUNDING = 1;

const GREEDY = { temperature: 0, topP: 1, seed: 0, useCache: true, stopIds: new Set<number>() };

/**
 * Root mean square errors against transformers in float32 must not exceed transformers' own error in bfloat16, which
 * rounds more: every operation and not only matmuls. TensorFlow's matmuls accumulate in float32, but how they round the
 * sums depends on the machine: to nearest, or on a CPU without AVX-512 towards zero, with twice the error of one matmul.
 * Over all prompts together, measured relative to transformers' error:
 *
 *     sums rounded to nearest                                 0.55
 *     sums rounded towards zero                               0.71
 *     wrong: inputs rounded to one bit less                   1.2 and more
 *     wrong: sums rounded to bfloat16 every 32 terms          1.1 and more
 *
 * For a single prompt the ratio scatters: up to 1.14 for the correct ones.
 */
const MOST = { together: 1, onePrompt: 1.5 };

describe("bfloat16 weights (tensorflow, graph mode)", function () {
  let model: GraphLlama;
  const results = new Map<string, Record<"ours" | "theirs" | "exact", Float32Array>>();

  before(async function () {
    if (!backends.includes("tensorflow")) this.skip();
    await loadBackend("tensorflow");
    const checkpoint = await loadCheckpoint(fixture("fairy-tales"));
    model = new GraphLlama(checkpoint.model, { weightType: "bfloat16" });
    const bfloat16 = await SafetensorsFile.open(diskFile(fixture("goldens/bfloat16.safetensors")));
    const float32 = await SafetensorsFile.open(diskFile(fixture("goldens/goldens.safetensors")));
    for (const { name, tokens } of cases) {
      model.prepare(1, tokens.length);
      const logits = model.forward([tokens]);
      results.set(name, {
        ours: logits.dataSync<"float32">(),
        theirs: await bfloat16.read(name),
        exact: await float32.read(`fairy-tales/${name}/logits`),
      });
      logits.dispose();
    }
    await bfloat16.close();
    await float32.close();
  });

  after(() => model?.dispose());

  const meanSquareError = (logits: Float32Array, exact: Float32Array) =>
    logits.reduce((sum, logit, i) => sum + (logit - exact[i]!) ** 2, 0) / logits.length;

  /** Our error relative to transformers', over some prompts together. */
  const relativeError = (names: readonly string[]) => {
    let [ours, theirs] = [0, 0];
    for (const name of names) {
      const result = results.get(name)!;
      ours += meanSquareError(result.ours, result.exact);
      theirs += meanSquareError(result.theirs, result.exact);
    }
    return Math.sqrt(ours / theirs);
  };

  for (const { name } of cases) {
    it(`give "${name}" the logits of transformers in bfloat16, to rounding`, () => {
      const { ours, theirs, exact } = results.get(name)!;
      expectClose(ours, theirs, ROUNDING, name);
      expect(Math.sqrt(meanSquareError(ours, exact))).to.be.at.least(1e-4); // float32 would be nearer
      expect(relativeError([name])).to.be.at.most(MOST.onePrompt);
    });
  }

  it("give logits nearer to float32 than transformers in bfloat16, over all prompts", () =>
    expect(relativeError([...results.keys()])).to.be.at.most(MOST.together));

  for (const { name, tokens, greedy } of cases.filter((one) => one.greedy.length > 0)) {
    it(`continue "${name}" with the same ${greedy.length} tokens as transformers`, async () => {
      const chosen: number[] = [];
      for await (const { next } of steps(model, [tokens], { ...GREEDY, maxGenLen: greedy.length }))
        chosen.push(next[0]!.id);
      expect(chosen).to.deep.equal(greedy);
    });
  }
});

describe("bfloat16 weights of a random model (tensorflow, graph mode)", function () {
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
    expect(maxLogitDifference).to.be.below(0.1); // logits reach 3, where neighbours are 0.016 apart
  });

  it("are rejected with XLA on a CPU", () => {
    if (tensorflowBackend("a test").isUsingGpuDevice) return;
    const llama = randomLlama();
    const options = { xla: true, weightType: "bfloat16" } as const;
    expect(() => new GraphLlama(llama, options)).to.throw(
      InputError,
      /^weights must be float32 for XLA on a CPU, got bfloat16/,
    );
    llama.dispose();
  });

  it("are kept when the model is traced again, and freed with it", () => {
    const before = handles();
    const model = new GraphLlama(randomLlama(), { weightType: "bfloat16" });
    const firstLogits = (B: number) => {
      model.prepare(B, 8);
      const logits = model.forward(Array.from({ length: B }, () => randomIds(5, 1)));
      const values = logits.dataSync<"float32">().slice(0, logits.shape[1]);
      logits.dispose();
      return values;
    };
    const first = firstLogits(1);
    firstLogits(3);
    expectClose(firstLogits(1), first, 0);
    model.dispose();
    expect(handles()).to.deep.equal(before);
  });
});
