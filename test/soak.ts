import { readdirSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { compareModes, loadCheckpoint, ROUNDING, type Tokenizer } from "../src/index.js";
import { uniform } from "../src/generation/sampling.js";
import { engines, fixture, onEveryExecution, type TestModel } from "./support.js";

// Many generations in one process; `npm run test:soak`, some minutes an engine. Not part of `npm test`.
const GENERATIONS = Number(process.env["SOAK_GENERATIONS"] ?? 200);

/** What may remain more of the process's memory than after the first quarter, in bytes. */
const SLACK = 48e6;

onEveryExecution(`${GENERATIONS} generations`, (executed, engine) => {
  let model: TestModel;
  let tokenizer: Tokenizer;
  before(async function () {
    if (engine === "cpu" && engines.length > 1) this.skip(); // hours
    const checkpoint = await loadCheckpoint(fixture("fairy-tales"));
    tokenizer = checkpoint.tokenizer;
    model = executed(checkpoint.model);
  });
  after(() => model?.dispose());

  it("leave tensors, memory and handles as they were, and both modes agree in each", async function () {
    this.timeout(0);
    const draw = (n: number, what: number, least: number, most: number) =>
      least + Math.floor(uniform(7, n, what) * (most - least + 1));
    const { numTensors, numBytes } = tf.memory();
    let settled: ReturnType<typeof processState> | undefined;
    for (let n = 0; n < GENERATIONS; n++) {
      const prompts = Array.from({ length: draw(n, 0, 1, 8) }, (_, row) =>
        Array.from({ length: draw(n, row + 1, 1, 60) }, (__, i) => draw(n, 100 * (row + 1) + i, 0, 1791)),
      );
      const maxGenLen = draw(n, 99, 1, 24);
      const greedy = n % 2 === 0;
      const options = {
        maxGenLen,
        temperature: greedy ? 0 : 0.8,
        topP: 0.95,
        seed: n,
        stopIds: tokenizer.stopIds,
      };
      const { difference, maxLogitDifference } = await compareModes(model, prompts, options);
      expect(difference, `generation ${n}`).to.equal(undefined);
      expect(maxLogitDifference, `generation ${n}`).to.be.below(ROUNDING);
      expect(tf.memory()).to.include({ numTensors, numBytes });
      if (n === Math.floor(GENERATIONS / 4)) settled = processState();
    }
    const end = processState();
    console.log(
      `      memory ${(settled!.rss / 1e6).toFixed(0)} MB after a quarter, ${(end.rss / 1e6).toFixed(0)} MB at the end; ` +
        `${end.descriptors} descriptors, ${end.handles} handles`,
    );
    expect(end.rss - settled!.rss, "memory").to.be.below(SLACK);
    expect(end.descriptors, "descriptors").to.be.at.most(settled!.descriptors);
    expect(end.handles, "handles").to.be.at.most(settled!.handles);
  });
});

function processState() {
  globalThis.gc?.();
  return {
    rss: process.memoryUsage().rss,
    descriptors: process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0,
    handles: process.getActiveResourcesInfo().length,
  };
}
