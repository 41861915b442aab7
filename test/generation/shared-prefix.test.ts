import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { cacheKind } from "../../src/cache/cache-kind.js";
import { sharePrefix } from "../../src/generation/shared-prefix.js";
import { type Model, steps } from "../../src/index.js";
import type { StepOptions } from "../../src/generation/options.js";
import { greedy, onOneBackend, randomIds, randomLlama } from "../support.js";

async function run(model: Model, prompts: number[][], options: StepOptions): Promise<number[][]> {
  const tokens: number[][] = prompts.map(() => []);
  for await (const { next } of steps(model, prompts, options))
    for (const [i, { id, source }] of next.entries()) if (source === "model") tokens[i]!.push(id);
  return tokens;
}

onOneBackend("A shared prefix", () => {
  const prefix = randomIds(30, 1);
  const options = { ...greedy(10), cacheKind: cacheKind({ cache: "paged", blockSize: 8 }) };

  it("is computed once, gives the same tokens, and takes fewer bytes", async () => {
    const model = randomLlama();
    const before = tf.memory().numTensors;
    const prompts = [3, 1, 5, 2].map((length, i) => prefix.concat(50 + i, randomIds(length, 10 + i)));
    const expected = await run(model, prompts, greedy(10));
    const shared = sharePrefix(model, prompts, 8, options);
    expect([shared.length, shared.cache.length]).to.deep.equal([30, 30]);
    expect(await run(model, prompts, { ...options, cache: shared.cache })).to.deep.equal(expected);
    expect(shared.bytes()).to.be.below(0.7 * options.cacheKind.bytes(model.config, 4, 46));
    shared.dispose();
    expect(tf.memory().numTensors).to.equal(before);
    model.dispose();
  });

  it("may be empty, or all of a prompt but its last token", async () => {
    const model = randomLlama();
    for (const prompts of [
      [
        [1, 2],
        [2, 3],
      ],
      [prefix, prefix],
    ]) {
      const shared = sharePrefix(model, prompts, 8, options);
      const tokens = await run(model, prompts, { ...options, cache: shared.cache });
      expect(tokens).to.deep.equal(await run(model, prompts, greedy(10)));
      shared.dispose();
    }
    model.dispose();
  });
});
