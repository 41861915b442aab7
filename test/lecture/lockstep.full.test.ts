import { readFileSync } from "node:fs";
import { expect } from "chai";
import { BUGS } from "../../lecture/bugs.js";
import { Lockstep, type LockstepOptions } from "../../lecture/lockstep.js";
import type { StepPair } from "../../lecture/trace.js";
import { type Llama, loadCheckpoint } from "../../src/index.js";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { fixture, onOneBackend } from "../support.js";

const OPTIONS: LockstepOptions = { temperature: 0, topP: 1, seed: 0, maxGenLen: 6, stopIds: new Set() };

async function run(
  model: Llama,
  prompts: readonly (readonly number[])[],
  bugId?: string,
): Promise<StepPair[]> {
  const bug = BUGS.find(({ id }) => id === bugId);
  const both = new Lockstep(model, prompts, OPTIONS, [], ...(bug ? [bug] : []));
  const pairs: StepPair[] = [];
  for (let pair = await both.step(); pair; pair = await both.step()) pairs.push(pair);
  await both.end();
  return pairs;
}

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

  const worst = (pairs: StepPair[], mode: "cached" | "uncached"): number =>
    Math.max(
      ...pairs.flatMap(({ reference }) => reference?.[mode] ?? []).map((difference) => difference ?? 0),
    );

  it("has no reference without a bug", async () => {
    const pairs = await run(model, prompts);
    expect(pairs.every(({ reference }) => reference === undefined)).to.equal(true);
    expect(Math.max(...pairs.flatMap((pair) => pair.differences as number[]))).to.be.below(LOGIT_TOLERANCE);
  });

  for (const { id } of BUGS) {
    it(`${id}: the logits of a broken mode differ from the reference`, async () => {
      const pairs = await run(model, prompts, id);
      expect(Math.max(worst(pairs, "cached"), worst(pairs, "uncached"))).to.be.above(LOGIT_TOLERANCE);
    });
  }

  it("a cache bug does not change the mode without the cache", async () => {
    for (const id of ["rotary-offset", "stale-cache", "first-never-written"]) {
      const pairs = await run(model, prompts, id);
      expect(worst(pairs, "uncached"), id).to.be.below(LOGIT_TOLERANCE);
    }
  });
});
