import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { cacheKind } from "../../src/cache/cache-kind.js";
import { decide, distribution, guessFrom } from "../../src/generation/acceptance.js";
import { type Draft, ModelDraft, PromptLookup, speculate } from "../../src/generation/speculative.js";
import { type Llama, steps } from "../../src/index.js";
import { NotFiniteError } from "../../src/util/errors.js";
import { greedy, onEveryBackend, onOneBackend, randomIds, randomLlama, TINY } from "../support.js";

const PROMPT = randomIds(9, 1);
const N = 30;

async function plainTokens(model: Llama): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { next } of steps(model, [PROMPT], greedy(N))) tokens.push(next[0]!.id);
  return tokens;
}

async function run(model: Llama, draft: Draft, options: Partial<Parameters<typeof speculate>[3]> = {}) {
  const rounds = [];
  for await (const round of speculate(model, PROMPT, draft, { ...greedy(N), guesses: 4, ...options }))
    rounds.push(round);
  draft.dispose();
  return { tokens: rounds.flatMap(({ tokens }) => tokens), rounds };
}

/** Guesses the right tokens, except each `wrong`th. */
const oracle = (tokens: readonly number[], wrong: number): Draft => ({
  guess: (text, count) =>
    tokens.slice(text.length - PROMPT.length, text.length - PROMPT.length + count).map((id, i) => ({
      id: (text.length + i) % wrong === 0 ? (id + 1) % TINY.vocabSize : id,
    })),
  truncate: () => {},
  dispose: () => {},
});

onEveryBackend("Speculative decoding", () => {
  it("gives the tokens of the loop without a draft, whatever the draft", async () => {
    const model = randomLlama();
    const before = tf.memory().numTensors;
    const expected = await plainTokens(model);
    const drafts = [
      new PromptLookup(),
      new ModelDraft(model.firstLayers(1), PROMPT.length + N),
      new ModelDraft(model, PROMPT.length + N),
      oracle(expected, 6),
      oracle(expected, 1),
    ];
    for (const [i, draft] of drafts.entries())
      expect((await run(model, draft)).tokens, `draft ${i}`).to.deep.equal(expected);
    expect(tf.memory().numTensors).to.equal(before);
    model.dispose();
  });

  it("needs one call for each wrong guess, and one more than guesses for right ones", async () => {
    const model = randomLlama();
    const expected = await plainTokens(model);
    const right = await run(model, oracle(expected, Infinity));
    expect(right.rounds.map(({ tokens }) => tokens.length)).to.deep.equal([5, 5, 5, 5, 5, 5]);
    const wrong = await run(model, oracle(expected, 1));
    expect(wrong.rounds.map(({ accepted, tokens }) => [accepted, tokens.length])).to.deep.equal(
      Array(N).fill([0, 1]),
    );
    model.dispose();
  });
});

onOneBackend("Speculative decoding", () => {
  it("gives the same tokens with every exact cache, and with a window that drops positions", async () => {
    const model = randomLlama();
    const expected = await plainTokens(model);
    for (const settings of [
      { cache: "plain", prefillChunk: 6 },
      { cache: "paged", blockSize: 4 },
      { cache: "sliding", window: 64 },
    ] as const) {
      const { tokens } = await run(model, oracle(expected, 4), { cacheKind: cacheKind(settings) });
      expect(tokens, settings.cache).to.deep.equal(expected);
    }
    const kind = cacheKind({ cache: "sliding", window: 8 });
    const windowed: number[] = [];
    for await (const { next } of steps(model, [PROMPT], { ...greedy(N), cacheKind: kind }))
      windowed.push(next[0]!.id);
    expect((await run(model, oracle(windowed, 4), { cacheKind: kind })).tokens).to.deep.equal(windowed);
    model.dispose();
  });

  it("stops at a stop token, also within accepted guesses", async () => {
    const model = randomLlama();
    const expected = await plainTokens(model);
    const stop = expected[7]!;
    const { tokens } = await run(model, oracle(expected, Infinity), { stopIds: new Set([stop]) });
    expect(tokens).to.deep.equal(expected.slice(0, expected.indexOf(stop) + 1));
    model.dispose();
  });

  it("samples from the model's own distribution: the acceptance rule corrects a bad draft", async () => {
    const model = randomLlama({ ...TINY, vocabSize: 8 });
    const prompt = [1, 2, 3];
    const sampling = { temperature: 0.9, topP: 0.95 };
    const logits = model.forward([prompt]);
    const expected = distribution(logits.dataSync<"float32">(), { ...sampling, seed: 0 });
    logits.dispose();
    const skewed = Float64Array.from({ length: 8 }, (_, id) => (id < 2 ? 0.4 : 0.2 / 6));
    const counts = new Float64Array(8);
    const runs = 800;
    for (let seed = 0; seed < runs; seed++) {
      let draw = ((seed * 7919) % runs) / runs; // every quantile once
      const id = skewed.findIndex((q) => (draw -= q) < 0);
      const draft: Draft = {
        guess: () => [{ id: id < 0 ? 7 : id, probabilities: skewed }],
        truncate: () => {},
        dispose: () => {},
      };
      const options = { ...greedy(2), ...sampling, seed, guesses: 1 };
      for await (const { tokens } of speculate(model, prompt, draft, options)) {
        counts[tokens[0]!]!++;
        break;
      }
    }
    for (const [id, p] of expected.entries()) {
      const deviation = Math.sqrt((p * (1 - p)) / runs);
      expect(Math.abs(counts[id]! / runs - p), `token ${id}`).to.be.at.most(4.5 * deviation + 1e-9);
    }
    model.dispose();
  });

  it("accepts every guess of a draft with the model's own distribution", () => {
    for (let seed = 0; seed < 200; seed++) {
      const logits = Float32Array.from({ length: 8 }, (_, id) => Math.sin(seed + id));
      const options = { temperature: 0.7, topP: 0.9, seed };
      const guess = guessFrom(logits, 5, options);
      expect(decide(logits, guess, 5, options)).to.deep.equal({ id: guess.id, accepted: true });
    }
  });

  it("samples from the topK most likely tokens only, as the loop does", async () => {
    const model = randomLlama();
    const options = { temperature: 5, topP: 1, topK: 1 };
    const { tokens } = await run(model, new PromptLookup(), options);
    expect(tokens).to.deep.equal(await plainTokens(model)); // the most likely token alone: greedy decoding
    const drafted = await run(model, new ModelDraft(model.firstLayers(1), PROMPT.length + N), options);
    expect(drafted.tokens).to.deep.equal(tokens);
    model.dispose();
  });

  it("rejects logits that are not finite, as the loop does", async () => {
    const model = randomLlama();
    const { weights } = model as unknown as { weights: { norm: tf.Tensor1D } };
    const clean = weights.norm;
    (model as unknown as { norm: { weight: tf.Tensor1D } }).norm.weight = tf.mul(clean, NaN);
    const reason = await run(model, new PromptLookup()).catch((error: Error) => error);
    expect(reason).to.be.instanceOf(NotFiniteError);
    expect((reason as Error).message).to.match(
      /^logits must be finite, got NaN in sequence 0 at position 9: /,
    );
    model.dispose();
  });

  it("rejects more guesses than a chunk has positions", async () => {
    const model = randomLlama();
    const error = await run(model, new PromptLookup(), { guesses: 256 }).catch(
      (reason: Error) => reason.message,
    );
    expect(error).to.equal("guesses must be a whole number from 1 to 255, got 256");
    model.dispose();
  });
});
