import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { type Bug, BUGS } from "../../lecture/bugs.js";
import { Lockstep, type LockstepOptions } from "../../lecture/lockstep.js";
import { candidates, type CapturedLayers } from "../../lecture/capture.js";
import type { StepPair } from "../../lecture/trace.js";
import { type Llama, steps } from "../../src/index.js";
import { onOneBackend, randomIds, randomLlama, TINY } from "../support.js";

const OPTIONS: LockstepOptions = { temperature: 0, topP: 1, seed: 0, maxGenLen: 6, stopIds: new Set() };
const PROMPTS = [randomIds(4, 1), randomIds(7, 2)];

async function run(model: Llama, layers: CapturedLayers = "all", bug?: Bug): Promise<StepPair[]> {
  const both = new Lockstep(model, PROMPTS, OPTIONS, layers, ...(bug ? [bug] : []));
  const pairs: StepPair[] = [];
  for (let pair = await both.step(); pair; pair = await both.step()) pairs.push(pair);
  await both.end();
  return pairs;
}

onOneBackend("Lockstep", () => {
  let model: Llama;
  let pairs: StepPair[];
  before(async () => {
    model = randomLlama();
    pairs = await run(model);
  });
  after(() => model.dispose());

  it("runs the same steps as the generation loop", async () => {
    for (const useCache of [true, false]) {
      const expected = [];
      for await (const step of steps(model, PROMPTS, { ...OPTIONS, useCache })) expected.push(step);
      const captured = pairs.map((pair) => (useCache ? pair.cached : pair.uncached)!);
      expect(
        captured.map(({ iteration, prevPos, curPos, inputIds, next }) => ({
          iteration,
          prevPos,
          curPos,
          inputIds,
          next,
        })),
      ).to.deep.equal(expected);
    }
  });

  it("captures as many keys as the cost model counts", () => {
    const { nLayers, nKvHeads } = TINY;
    for (const [i, { cached, uncached }] of pairs.entries()) {
      const keys = cached!.vectors.filter(({ kind }) => kind === "key").length;
      expect(keys).to.equal(cached!.cost.kvPairsComputed);
      expect(uncached!.cost.kvPairsComputed).to.equal(2 * nLayers * nKvHeads * (4 + i));
    }
  });

  it("captures a recomputed vector once, and reports that it did not change", () => {
    for (const { cached, uncached } of pairs.slice(1)) {
      expect(cached!.largestChange).to.equal(0);
      expect(uncached!.largestChange).to.be.within(0, 1e-4);
      expect(uncached!.vectors.length).to.equal(cached!.vectors.length);
    }
  });

  it("captures attention weights that sum to 1 and exclude the future", () => {
    for (const step of pairs.flatMap(({ cached, uncached }) => [cached!, uncached!])) {
      for (const { kind, position, values } of step.vectors) {
        if (kind !== "attention") continue;
        expect(values.length).to.be.at.most(position + 1);
        expect(values.reduce((sum, weight) => sum + weight, 0)).to.be.closeTo(1, 1e-4);
      }
    }
  });

  it("captures only the requested layers", async () => {
    const some = await run(model, [1]);
    expect(new Set(some.flatMap(({ cached }) => cached!.vectors.map(({ layer }) => layer)))).to.deep.equal(
      new Set([1]),
    );
    const none = await run(model, []);
    const captured = none.map(({ cached, uncached }) => cached!.vectors.length + uncached!.vectors.length);
    expect(Math.max(...captured)).to.equal(0);
  });

  it("frees all tensors", async () => {
    const before = tf.memory().numTensors;
    await run(
      model,
      "all",
      BUGS.find(({ id }) => id === "stale-cache"),
    );
    expect(tf.memory().numTensors).to.equal(before);
  });

  it("lists the most likely tokens first, with their softmax probabilities", () => {
    const [first, second, ...others] = candidates(Float32Array.of(1, 3, 2, 3, -9, 0, 0, 0));
    const total = [1, 3, 2, 3, -9, 0, 0, 0].reduce((sum, logit) => sum + Math.exp(logit), 0);
    expect([first!.id, second!.id, others[0]!.id, others.length]).to.deep.equal([1, 3, 2, 4]);
    expect(first!.probability).to.be.closeTo(Math.exp(3) / total, 1e-6);
  });
});
