import { readdirSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { compareModes, loadCheckpoint } from "../../src/index.js";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { uniform } from "../../src/generation/sampling.js";
import { backendIfTensorFlow } from "../../src/backend/tensorflow-backend.js";
import { backends, fixture, onEveryExecution, type TestModel } from "../support.js";

// Many generations in one process, a quarter of an hour per backend and execution, so no part of `npm run test:all`:
//     MALLOC_ARENA_MAX=1 npx mocha --node-option expose-gc test/soak/soak.ts
// glibc keeps freed memory in a pool per thread, and XLA compiles in many: without MALLOC_ARENA_MAX the process grows and
// shrinks by 100 MB. BACKENDS=wasm chooses the backend, SOAK_GENERATIONS the number of generations, at least 40.
const GENERATIONS = Number(process.env["SOAK_GENERATIONS"] ?? 200);

/** Bytes by which the process may grow from the second quarter of the generations to the last; allocators vary by less. */
const MAX_GROWTH = 32e6; // what a generation leaves in a backend is checked to the byte

onEveryExecution(`${GENERATIONS} generations`, (executed, backend) => {
  let model: TestModel;
  let tokenizer: Tokenizer;
  before(async function () {
    if (backend === "cpu" && backends.length > 1) this.skip(); // hours
    const checkpoint = await loadCheckpoint(fixture("fairy-tales"));
    tokenizer = checkpoint.tokenizer;
    model = executed(checkpoint.model);
  });
  after(() => model?.dispose());

  it("leave tensors, memory and handles as they were, and agree with and without the cache", async function () {
    this.timeout(0);
    const draw = (n: number, what: number, least: number, most: number) =>
      least + Math.floor(uniform(7, n, what) * (most - least + 1));
    const { numTensors, numBytes } = tf.memory();
    let native: ReturnType<typeof nativeState> | undefined;
    const states: ReturnType<typeof processState>[] = [];
    for (let n = 0; n < GENERATIONS; n++) {
      const prompts = Array.from({ length: draw(n, 0, 1, 8) }, (_, sequence) =>
        Array.from({ length: draw(n, sequence + 1, 1, 60) }, (__, i) =>
          draw(n, 100 * (sequence + 1) + i, 0, 1791),
        ),
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
      expect(maxLogitDifference, `generation ${n}`).to.be.below(LOGIT_TOLERANCE);
      expect(tf.memory()).to.include({ numTensors, numBytes });
      if (n === 0) native = nativeState();
      expect(nativeState()).to.deep.equal(native);
      states.push(processState());
    }
    // The minimum of a quarter, because large batches and tracing need more memory for a while.
    const least = (from: number, to: number, what: keyof (typeof states)[0]) =>
      Math.min(...states.slice(from * GENERATIONS, to * GENERATIONS).map((state) => state[what]));
    const [before, end] = [least(1 / 4, 1 / 2, "rss"), least(3 / 4, 1, "rss")];
    const { descriptors, handles } = states.at(-1)!;
    console.log(
      `      memory ${(before / 1e6).toFixed(0)} MB in the second quarter, ${(end / 1e6).toFixed(0)} MB in the last; ` +
        `${descriptors} descriptors, ${handles} handles`,
    );
    expect(end - before, "memory").to.be.below(MAX_GROWTH);
    expect(descriptors, "descriptors").to.be.at.most(least(1 / 4, 1 / 2, "descriptors"));
    expect(handles, "handles").to.be.at.most(least(1 / 4, 1 / 2, "handles"));
  });
});

/** TensorFlow's own counts, below TensorFlow.js: tensors, and graphs with their sessions. */
function nativeState() {
  const binding = backendIfTensorFlow()?.binding;
  return binding && { tensors: binding.getNumOfTensors(), graphs: binding.getNumOfSavedModels() };
}

function processState() {
  globalThis.gc?.();
  return {
    rss: process.memoryUsage().rss,
    descriptors: process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0,
    handles: process.getActiveResourcesInfo().length,
  };
}
