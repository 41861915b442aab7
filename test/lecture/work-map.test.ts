import { expect } from "chai";
import { Lockstep } from "../../lecture/lockstep.js";
import { countWork, workRows } from "../../lecture/page/work-map-rows.js";
import type { StepPair } from "../../lecture/trace.js";
import { steps } from "../../src/index.js";
import { onOneBackend, randomIds, randomLlama } from "../support.js";

onOneBackend("The work map", () => {
  const prompts = [randomIds(4, 1), randomIds(6, 2)];
  const options = { maxGenLen: 7, temperature: 0, topP: 1, seed: 0, stopIds: new Set<number>() };

  async function lockstep(): Promise<StepPair[]> {
    const model = randomLlama();
    const both = new Lockstep(model, prompts, options, []);
    const pairs: StepPair[] = [];
    for (let pair = await both.step(); pair; pair = await both.step()) pairs.push(pair);
    model.dispose();
    return pairs;
  }

  for (const useCache of [true, false]) {
    it(`has as many squares as the probe counts K/V pairs, ${useCache ? "with" : "without"} the cache`, async () => {
      const rows = workRows(await lockstep(), useCache);
      const model = randomLlama();
      const { nLayers, nKvHeads, headDim } = model.config;
      const counted: number[] = [];
      let pairs = 0;
      const probe = (name: string, _: number | undefined, { size }: { size: number }) => {
        if (name === "attention.key") pairs += size / headDim;
      };
      for await (const step of steps(model, prompts, { ...options, useCache, probe })) {
        expect(step.iteration).to.equal(counted.length + 1);
        counted.push(pairs);
        pairs = 0;
      }
      model.dispose();
      const perSquare = nLayers * nKvHeads * prompts.length;
      expect(rows.map(({ readTo, to }) => perSquare * (to - readTo))).to.deep.equal(counted);
    });
  }

  it("marks each position as computed for the first time once, in both modes", async () => {
    const pairs = await lockstep();
    const positions = pairs.at(-1)!.uncached!.curPos;
    expect(countWork(workRows(pairs, true))).to.deep.equal({ first: positions, again: 0 });
    const { first, again } = countWork(workRows(pairs, false));
    expect(first).to.equal(positions);
    expect(again).to.equal(pairs.slice(0, -1).reduce((sum, { uncached }) => sum + uncached!.curPos, 0));
  });
});
