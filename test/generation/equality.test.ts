import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { compareModes, loadBackend, type Model, type ModelConfig, steps } from "../../src/index.js";
import { loadModel } from "../../src/checkpoint/load.js";
import { parseConfig } from "../../src/checkpoint/hugging-face-config.js";
import type { StepOptions } from "../../src/generation/options.js";
import {
  backends,
  expectClose,
  fixture,
  greedy,
  onEveryBackend,
  onEveryExecution,
  randomIds,
  randomLlama,
  TINY,
} from "../support.js";

const GREEDY = greedy(12);
const SAMPLED: StepOptions = { ...GREEDY, temperature: 1, topP: 0.9, seed: 7 };

/** Float32 rounding error of logits of about 10. */
const ROUNDING = 1e-4;

/** Generated ids of each sequence. */
async function run(model: Model, prompts: number[][], options: StepOptions): Promise<number[][]> {
  const generated: number[][] = prompts.map(() => []);
  for await (const { next } of steps(model, prompts, options)) {
    for (const [i, { id, source }] of next.entries()) if (source === "model") generated[i]!.push(id);
  }
  return generated;
}

/** Generated ids of each sequence, and the logits that each was chosen from, V for each id. */
async function runWithLogits(model: Model, prompts: number[][], options: StepOptions) {
  const tokens: number[][] = prompts.map(() => []);
  const logits: number[][] = prompts.map(() => []);
  let ofStep: readonly Float32Array[] = [];
  const onLogits = (given: readonly Float32Array[]) => (ofStep = given.map((one) => one.slice()));
  for await (const { next } of steps(model, prompts, { ...options, onLogits })) {
    for (const [i, { id, source }] of next.entries()) {
      if (source !== "model") continue;
      tokens[i]!.push(id);
      logits[i]!.push(...ofStep[i]!);
    }
  }
  return { tokens, logits };
}

const prompts = (...lengths: number[]): number[][] => lengths.map((length, i) => randomIds(length, 100 + i));

onEveryExecution("Cached = uncached", (executed) => {
  const variants: Record<string, Partial<ModelConfig>> = {
    "grouped-query attention": {},
    "one KV head": { nKvHeads: 1 },
    "as many KV heads as query heads": { nKvHeads: 4 },
    "tied embeddings": { tieWordEmbeddings: true },
    "no rope scaling": { rope: { theta: 10000 } },
    "one layer": { nLayers: 1 },
  };
  const batches: Record<string, number[][]> = {
    "one token": prompts(1),
    "one prompt": prompts(9),
    "equal prompts": prompts(5, 5, 5),
    "a ragged batch": prompts(3, 11, 1, 7),
    "a batch of 16": prompts(...Array.from({ length: 16 }, (_, i) => 1 + ((i * 5) % 13))),
  };
  for (const [variant, change] of Object.entries(variants)) {
    for (const [title, batch] of Object.entries(batches)) {
      it(`gives identical tokens, and logits equal up to rounding: ${variant}, ${title}`, async () => {
        const model = executed(randomLlama({ ...TINY, ...change }));
        const { difference, maxLogitDifference, tokens } = await compareModes(model, batch, GREEDY);
        model.dispose();
        expect(difference).to.equal(undefined);
        expect(maxLogitDifference).to.be.below(ROUNDING);
        expect(tokens).to.equal(batch.length * GREEDY.maxGenLen);
      });
    }
  }

  it("gives identical tokens for any seed, temperature and topP", async () => {
    const model = executed(randomLlama());
    const settings = fc.record({
      seed: fc.nat(),
      temperature: fc.double({ min: 0.1, max: 2, noNaN: true }),
      topP: fc.double({ min: 0.05, max: 1, noNaN: true }),
      lengths: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(settings, async ({ lengths, ...sampling }) => {
        const options = { ...GREEDY, ...sampling, maxGenLen: 6 };
        expect((await compareModes(model, prompts(...lengths), options)).difference).to.equal(undefined);
      }),
      { numRuns: 15 },
    );
    model.dispose();
  });

  it("gives identical tokens up to the last position of the context", async () => {
    const model = executed(randomLlama());
    const batch = prompts(TINY.maxSeqLen - 3);
    const { difference, tokens } = await compareModes(model, batch, { ...GREEDY, maxGenLen: 3 });
    expect([difference, tokens]).to.deep.equal([undefined, 3]);
    model.dispose();
  });
});

onEveryExecution("Batched = alone", (executed) => {
  for (const useCache of [true, false]) {
    it(`gives a sequence of a ragged batch the tokens and logits that it gets alone, ${useCache ? "cached" : "uncached"}`, async () => {
      const model = executed(randomLlama());
      const batch = prompts(4, 9, 1, 6);
      const together = await runWithLogits(model, batch, { ...GREEDY, useCache });
      expect(await run(model, batch, { ...GREEDY, useCache })).to.deep.equal(together.tokens);
      for (const [i, prompt] of batch.entries()) {
        const alone = await runWithLogits(model, [prompt], { ...GREEDY, useCache });
        expect(together.tokens[i], `sequence ${i}`).to.deep.equal(alone.tokens[0]);
        expectClose(together.logits[i]!, alone.logits[0]!, ROUNDING, `sequence ${i}`);
      }
      model.dispose();
    });
  }

  it("samples a sequence independently of the others in the batch", async () => {
    const model = executed(randomLlama());
    const [a, b, c] = prompts(4, 9, 2) as [number[], number[], number[]];
    const first = await run(model, [a, b], SAMPLED);
    const second = await run(model, [c, b, a], SAMPLED);
    expect(first[1]).to.deep.equal(second[1]);
    expect(first[0]).not.to.deep.equal(second[2]); // the same prompt at another index draws other numbers
    model.dispose();
  });
});

onEveryExecution("Chunked prefill = one prefill", (executed) => {
  it("gives the same logits for a prompt in chunks of any sizes", async () => {
    const model = executed(randomLlama());
    const ids = randomIds(20, 5);
    const unchunked = model.forward([ids]);
    const expected = unchunked.dataSync();
    unchunked.dispose();
    const chunkStarts = fc.subarray(Array.from({ length: 19 }, (_, i) => i + 1));
    fc.assert(
      fc.property(chunkStarts, (starts) => {
        const cache = model.createCache(1, 20);
        let last: Float32Array | undefined;
        for (const [i, start] of [0, ...starts].entries()) {
          const logits = model.forward([ids.slice(start, starts[i])], cache);
          last = logits.dataSync<"float32">();
          logits.dispose();
        }
        cache.dispose();
        expectClose(last!, expected, ROUNDING);
      }),
      { numRuns: 20 },
    );
    model.dispose();
  });
});

onEveryBackend("Two concurrent generations", () => {
  it("do not affect each other, as each has its own cache", async () => {
    const model = randomLlama();
    const [a, b] = prompts(6, 3) as [number[], number[]];
    const [alone] = await run(model, [a], GREEDY);
    const [together] = await Promise.all([run(model, [a], GREEDY), run(model, [b], SAMPLED)]);
    expect(together[0]).to.deep.equal(alone);
    model.dispose();
  });
});

describe("All backends", () => {
  const compared = [...new Set([...backends, "wasm", "cpu"])];
  it(`give the same tokens, greedy and sampled, and logits equal up to rounding: ${compared.join(", ")}`, async () => {
    const config = parseConfig(
      JSON.parse(readFileSync(fixture("tiny-untied/config.json"), "utf8")),
      "tiny-untied",
    );
    const batch = [5, 9, 2].map((length, i) => randomIds(length, i, config.vocabSize));
    const settings = [GREEDY, SAMPLED, { ...SAMPLED, seed: 1 }, { ...SAMPLED, seed: 2, temperature: 0.6 }];
    const results: Awaited<ReturnType<typeof runWithLogits>>[][] = [];
    for (const backend of compared) {
      await loadBackend(backend);
      const model = await loadModel(config, fixture("tiny-untied"));
      const ofBackend = [];
      for (const options of settings) {
        ofBackend.push(await runWithLogits(model, batch, { ...options, maxGenLen: 20 }));
      }
      model.dispose();
      results.push(ofBackend);
    }
    for (const [b, ofBackend] of results.entries()) {
      for (const [s, { tokens, logits }] of ofBackend.entries()) {
        const first = results[0]![s]!;
        expect(tokens, compared[b]).to.deep.equal(first.tokens);
        for (const [i, own] of logits.entries()) expectClose(own, first.logits[i]!, ROUNDING, compared[b]);
      }
    }
    expect(new Set(results[0]!.map(({ tokens }) => JSON.stringify(tokens))).size).to.equal(settings.length);
  });
});
