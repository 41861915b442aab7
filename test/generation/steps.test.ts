import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { InputError, type Llama, type Step, steps } from "../../src/index.js";
import { KVCache } from "../../src/model/kv-cache.js";
import { NotFiniteError } from "../../src/util/errors.js";
import type { StepOptions } from "../../src/generation/options.js";
import {
  expectRejection,
  greedy,
  onEveryBackend,
  onEveryExecution,
  onOneBackend,
  randomIds,
  randomLlama,
  TINY,
} from "../support.js";

const OPTIONS = greedy(6);

const PROMPTS = [randomIds(3, 1), randomIds(7, 2), randomIds(4, 3)];

async function collect(
  model: Llama,
  prompts: number[][],
  options: Partial<StepOptions> = {},
): Promise<Step[]> {
  const all: Step[] = [];
  for await (const step of steps(model, prompts, { ...OPTIONS, ...options })) all.push(step);
  return all;
}

onOneBackend("The generation loop", () => {
  let model: Llama;
  before(() => (model = randomLlama()));
  after(() => model.dispose());

  it("with the cache computes the shortest prompt's length first, then one position per step", async () => {
    const ranges = (await collect(model, PROMPTS)).map(({ prevPos, curPos }) => [prevPos, curPos]);
    expect(ranges).to.deep.equal([[0, 3], ...Array.from({ length: 9 }, (_, i) => [3 + i, 4 + i])]);
  });

  it("without the cache computes the whole prefix in every step", async () => {
    const ranges = (await collect(model, PROMPTS, { useCache: false })).map((step) => [
      step.prevPos,
      step.curPos,
    ]);
    expect(ranges).to.deep.equal(Array.from({ length: 10 }, (_, i) => [0, 3 + i]));
  });

  it("continues each sequence with its own prompt, then with the model's tokens", async () => {
    const all = await collect(model, PROMPTS, { useCache: false });
    for (const [i, prompt] of PROMPTS.entries()) {
      for (const { inputIds, curPos } of all) {
        expect(inputIds[i]!.slice(0, prompt.length)).to.deep.equal(prompt.slice(0, curPos));
      }
      const sources = all.map(({ next }) => next[i]!.source);
      expect(sources.filter((source) => source === "prompt").length).to.equal(prompt.length - 3);
      expect(sources.filter((source) => source === "model").length).to.equal(6);
    }
    for (const [n, { next }] of all.slice(0, -1).entries()) {
      for (const [i, { id }] of next.entries()) expect(all[n + 1]!.inputIds[i]!.at(-1)).to.equal(id);
    }
  });

  it("generates maxGenLen tokens per sequence, whatever its prompt's length", async () => {
    const all = await collect(model, PROMPTS, { maxGenLen: 2 });
    for (const i of PROMPTS.keys()) {
      const chosen = all.map(({ next }) => next[i]!).filter(({ source }) => source === "model");
      expect(chosen.map(({ stopReason }) => stopReason)).to.deep.equal([undefined, "length"]);
    }
  });

  it("ends a sequence at any stop id, and the generation when all sequences have ended", async () => {
    const unstopped = await collect(model, PROMPTS);
    const chosen = (i: number) =>
      unstopped.flatMap(({ next }) => (next[i]!.source === "model" ? next[i]!.id : []));
    const stopIds = new Set([chosen(0)[1]!, chosen(1)[0]!, chosen(2)[2]!]);
    const all = await collect(model, PROMPTS, { stopIds });
    for (const i of PROMPTS.keys()) {
      const expected = chosen(i).slice(0, 1 + chosen(i).findIndex((id) => stopIds.has(id)));
      const tokens = all.map(({ next }) => next[i]!);
      expect(tokens.filter(({ source }) => source === "model").map(({ id }) => id)).to.deep.equal(expected);
      expect(tokens.flatMap(({ stopReason }) => stopReason ?? [])).to.deep.equal(["stop"]);
    }
    expect(all.length).to.be.below(unstopped.length);
  });

  it("throws an abort signal's reason", async () => {
    const abort = new AbortController();
    const run = steps(model, PROMPTS, { ...OPTIONS, signal: abort.signal });
    await run.next();
    abort.abort(new Error("enough"));
    await expectRejection(run.next(), Error, /^enough$/);
  });

  it("lets timers fire between steps, so that one can abort it", async () => {
    const run = collect(model, PROMPTS, { signal: AbortSignal.timeout(1), maxGenLen: 100 });
    const { name } = await run.then(
      () => ({ name: "finished" }),
      (reason: Error) => reason,
    );
    expect(name).to.equal("TimeoutError");
  });
});

onEveryBackend("Memory of a generation", () => {
  let model: Llama;
  before(() => (model = randomLlama()));
  after(() => model.dispose());
  const live = () => ({ tensors: tf.memory().numTensors, bytes: tf.memory().numBytes });

  for (const useCache of [true, false]) {
    const mode = useCache ? "with the cache" : "without the cache";

    it(`is constant from step to step, and all freed at the end, ${mode}`, async () => {
      const before = live();
      const during: unknown[] = [];
      for await (const _ of steps(model, PROMPTS, { ...OPTIONS, useCache, maxGenLen: 20 }))
        during.push(live());
      expect(during.length).to.equal(24);
      for (const count of during) expect(count).to.deep.equal(during[0]);
      expect(live()).to.deep.equal(before);
    });

    it(`is all freed after an early exit, an abort or an error, ${mode}`, async () => {
      const before = live();
      for await (const _ of steps(model, PROMPTS, { ...OPTIONS, useCache })) break;
      expect(live(), "early exit").to.deep.equal(before);

      const aborted = collect(model, PROMPTS, { useCache, signal: AbortSignal.abort() });
      await aborted.catch(() => undefined);
      expect(live(), "aborted").to.deep.equal(before);

      const probe = (name: string, layer: number | undefined) => {
        if (name === "attention.weights" && layer === 1) throw new Error("probe failed");
      };
      await expectRejection(collect(model, PROMPTS, { useCache, probe }), Error, /^probe failed$/);
      expect(live(), "error in the model").to.deep.equal(before);
    });
  }

  it("is all freed after a probe has received every activation", () => {
    const before = live();
    let received = 0;
    model.forward([randomIds(4, 1)], undefined, () => received++).dispose();
    expect(received).to.equal(3 + 9 * TINY.nLayers);
    expect(live()).to.deep.equal(before);
  });
});

onOneBackend("Wrong input", () => {
  let model: Llama;
  before(() => (model = randomLlama()));
  after(() => model.dispose());
  const rejects = (prompts: number[][], options: Partial<StepOptions>, message: RegExp) =>
    expectRejection(collect(model, prompts, options), InputError, message);

  it("rejects an empty list of prompts", () =>
    rejects([], {}, /^prompts must have at least one entry, got none$/));
  it("rejects an empty prompt", () =>
    rejects([[1], []], {}, /^prompt 1 must have at least one token, got none$/));
  it("rejects a prompt that exceeds the context together with maxGenLen", () =>
    rejects(
      [[1], randomIds(123, 1)],
      {},
      /^prompt \+ maxGenLen must be within the model's context of 128 tokens, got 123 \+ 6 = 129 for prompt 1$/,
    ));
  for (const id of [61, -1, 1.5]) {
    it(`rejects token id ${id}`, () =>
      rejects([[1, id]], {}, /^token ids must be 0 to 60, got .* in sequence 0$/));
  }
  const rejected: Record<string, [values: number[], rule: RegExp]> = {
    maxGenLen: [[0, -1, 1.5, NaN], /^maxGenLen must be a whole number >= 1, got/],
    temperature: [[-0.1, NaN, Infinity], /^temperature must be a number >= 0, got/],
    topP: [[0, -1, 1.01, NaN], /^topP must be > 0 and <= 1, got/],
    seed: [[-1, 0.5, NaN, 2 ** 60], /^seed must be a whole number >= 0, got/],
  };
  for (const [option, [values, rule]] of Object.entries(rejected)) {
    for (const value of values)
      it(`rejects ${option} ${value}`, () => rejects([[1]], { [option]: value }, rule));
  }

  it("rejects sequences of different lengths in one forward pass", () => {
    expect(() => model.forward([[1, 2], [3]])).to.throw(
      InputError,
      "sequence 1 must have as many tokens as sequence 0, 2, got 1",
    );
  });
  it("rejects empty input", () => {
    for (const empty of [[], [[]]]) {
      expect(() => model.forward(empty)).to.throw(
        InputError,
        "must have at least one sequence of at least one token",
      );
    }
  });
  it("rejects a cache made for another batch size", () => {
    const cache = new KVCache(TINY, 2, 8);
    expect(() => model.forward([[1]], cache)).to.throw(
      InputError,
      "the KV cache's batch size must equal the input's, 1, got 2",
    );
    cache.dispose();
  });
  it("rejects a position beyond the context", () => {
    expect(() => model.forward([randomIds(129, 1)])).to.throw(
      InputError,
      "positions must be within the model's context of 128, got 129",
    );
  });
});

onEveryBackend("Logits that are not finite", () => {
  for (const bad of [NaN, Infinity]) {
    it(`are rejected with their sequence and position: ${bad} in the weights`, async () => {
      const model = randomLlama({ ...TINY, nLayers: 0 });
      // Only token 5 has a damaged embedding, so only the step that reads it fails.
      const weights = (model as unknown as { weights: { embedding: tf.Tensor2D } }).weights;
      const clean = weights.embedding;
      const values = clean.dataSync().slice();
      values.fill(bad, 5 * TINY.hiddenSize, 6 * TINY.hiddenSize);
      weights.embedding = tf.tensor2d(values, clean.shape);
      clean.dispose();
      const before = tf.memory().numTensors;
      const run = collect(
        model,
        [
          [1, 2],
          [1, 2, 5],
        ],
        { maxGenLen: 3 },
      );
      await expectRejection(
        run,
        NotFiniteError,
        /^logits must be finite, got NaN in sequence 1 at position 3: /,
      );
      expect(tf.memory().numTensors).to.equal(before);
      model.dispose();
    });
  }
});

onEveryExecution("A model that is disposed during a generation", (executed) => {
  for (const useCache of [true, false]) {
    it(`ends it with an InputError ${useCache ? "with" : "without"} the cache`, async () => {
      const model = executed(randomLlama(TINY));
      const run = steps(model, [[1, 2]], { ...greedy(8), useCache });
      await run.next();
      model.dispose();
      await expectRejection(
        run.next(),
        InputError,
        /must be (?:disposed after its last|this model's and not disposed)/,
      );
    });
  }
});
