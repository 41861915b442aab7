import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { BUGS } from "../../lecture/bugs.js";
import { Lockstep, type LockstepOptions } from "../../lecture/lockstep.js";
import { candidates, type RecordedLayers } from "../../lecture/recorder.js";
import type { Turn } from "../../lecture/trace.js";
import { type Llama, loadCheckpoint, steps } from "../../src/index.js";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { fixture, onOneBackend, randomIds, randomLlama, TINY } from "../support.js";

const OPTIONS: LockstepOptions = { temperature: 0, topP: 1, seed: 0, maxGenLen: 6, stopIds: new Set() };
const PROMPTS = [randomIds(4, 1), randomIds(7, 2)];

async function record(
  model: Llama,
  layers: RecordedLayers = "all",
  bugId?: string,
  prompts: readonly (readonly number[])[] = PROMPTS,
): Promise<Turn[]> {
  const bug = BUGS.find(({ id }) => id === bugId);
  const both = new Lockstep(model, prompts, OPTIONS, layers, ...(bug ? [bug] : []));
  const turns: Turn[] = [];
  for (let turn = await both.turn(); turn; turn = await both.turn()) turns.push(turn);
  await both.end();
  return turns;
}

onOneBackend("Lockstep", () => {
  let model: Llama;
  let turns: Turn[];
  before(async () => {
    model = randomLlama();
    turns = await record(model);
  });
  after(() => model.dispose());

  it("takes the steps that the loop takes", async () => {
    for (const useCache of [true, false]) {
      const expected = [];
      for await (const step of steps(model, PROMPTS, { ...OPTIONS, useCache })) expected.push(step);
      const recorded = turns.map((turn) => (useCache ? turn.cached : turn.uncached)!);
      expect(
        recorded.map(({ iteration, prevPos, curPos, inputIds, next }) => [
          iteration,
          prevPos,
          curPos,
          inputIds,
          next,
        ]),
      ).to.deep.equal(
        expected.map((step) => [step.iteration, step.prevPos, step.curPos, step.inputIds, step.next]),
      );
    }
  });

  it("counts the K/V rows that it saw computed", () => {
    const { nLayers, nKvHeads } = TINY;
    for (const [i, { cached, uncached }] of turns.entries()) {
      const seen = cached!.rows.filter(({ kind }) => kind === "key").length;
      expect(seen).to.equal(cached!.cost.kvRowsComputed);
      expect(uncached!.cost.kvRowsComputed).to.equal(2 * nLayers * nKvHeads * (4 + i));
    }
  });

  it("keeps a recomputed row once, and reports that it did not change", () => {
    for (const { cached, uncached } of turns.slice(1)) {
      expect(cached!.largestChange).to.equal(0);
      expect(uncached!.largestChange).to.be.within(0, 1e-4);
      expect(uncached!.rows.length).to.equal(cached!.rows.length);
    }
  });

  it("keeps attention rows that sum to 1 and see no future", () => {
    for (const step of turns.flatMap(({ cached, uncached }) => [cached!, uncached!])) {
      for (const { kind, position, values } of step.rows) {
        if (kind !== "attention") continue;
        expect(values.length).to.be.at.most(position + 1);
        expect(values.reduce((sum, weight) => sum + weight, 0)).to.be.closeTo(1, 1e-4);
      }
    }
  });

  it("records the layers asked for, and no others", async () => {
    const some = await record(model, [1]);
    expect(new Set(some.flatMap(({ cached }) => cached!.rows.map(({ layer }) => layer)))).to.deep.equal(
      new Set([1]),
    );
    const none = await record(model, []);
    const kept = none.map(({ cached, uncached }) => cached!.rows.length + uncached!.rows.length);
    expect(Math.max(...kept)).to.equal(0);
  });

  it("leaves no tensor behind", async () => {
    const before = tf.memory().numTensors;
    await record(model, "all", "stale-cache");
    expect(tf.memory().numTensors).to.equal(before);
  });

  it("names the likeliest tokens first, with softmax's probabilities", () => {
    const [first, second, ...others] = candidates(Float32Array.of(1, 3, 2, 3, -9, 0, 0, 0));
    const total = [1, 3, 2, 3, -9, 0, 0, 0].reduce((sum, logit) => sum + Math.exp(logit), 0);
    expect([first!.id, second!.id, others[0]!.id, others.length]).to.deep.equal([1, 3, 2, 4]);
    expect(first!.probability).to.be.closeTo(Math.exp(3) / total, 1e-6);
  });
});

onOneBackend("Lockstep with a planted bug", () => {
  let model: Llama;
  let prompts: number[][];
  before(async () => {
    const checkpoint = await loadCheckpoint(fixture("fairy-tales"));
    model = checkpoint.model;
    const { cases } = JSON.parse(readFileSync(fixture("goldens/goldens.json"), "utf8")).checkpoints[
      "fairy-tales"
    ];
    const { tokens } = cases.find(({ name }: { name: string }) => name === "once");
    prompts = [tokens, tokens.slice(0, 3)];
  });
  after(() => model.dispose());

  const worst = (turns: Turn[], mode: "cached" | "uncached"): number =>
    Math.max(...turns.flatMap(({ whole }) => whole?.[mode] ?? []).map((difference) => difference ?? 0));

  it("without one, there is nothing to compare with", async () => {
    const turns = await record(model, [], undefined, prompts);
    expect(turns.every(({ whole }) => whole === undefined)).to.equal(true);
    expect(Math.max(...turns.flatMap((turn) => turn.differences as number[]))).to.be.below(LOGIT_TOLERANCE);
  });

  for (const { id } of BUGS) {
    it(`${id}: the scores of a broken mode leave the whole model's`, async () => {
      const turns = await record(model, [], id, prompts);
      expect(Math.max(worst(turns, "cached"), worst(turns, "uncached"))).to.be.above(LOGIT_TOLERANCE);
    });
  }

  it("a bug of the cache does not touch the mode without one", async () => {
    for (const id of ["rotary-offset", "stale-cache", "first-never-written"]) {
      const turns = await record(model, [], id, prompts);
      expect(worst(turns, "uncached"), id).to.be.below(LOGIT_TOLERANCE);
    }
  });
});
