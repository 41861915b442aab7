import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import {
  type Request,
  schedule,
  type ScheduledCall,
  type ScheduleOptions,
} from "../../src/generation/scheduler.js";
import { type Llama, steps } from "../../src/index.js";
import {
  expectRejection,
  greedy,
  onEveryBackend,
  onOneBackend,
  randomIds,
  randomLlama,
  TINY,
} from "../support.js";
import { InputError } from "../../src/index.js";

const REQUESTS: readonly Request[] = [
  [3, 12],
  [20, 5],
  [9, 9],
  [30, 3],
  [1, 20],
  [15, 1],
  [7, 14],
].map(([length, maxGenLen], i) => ({ prompt: randomIds(length!, i), maxGenLen: maxGenLen! }));

const OPTIONS: ScheduleOptions = { ...greedy(1), maxBatch: 3, blocks: 30, blockSize: 4 };

async function run(model: Llama, requests: readonly Request[], options: Partial<ScheduleOptions> = {}) {
  const calls: ScheduledCall[] = [];
  const tokens: number[][] = requests.map(() => []);
  for await (const call of schedule(model, requests, { ...OPTIONS, ...options })) {
    calls.push(call);
    for (const [i, request] of call.requests.entries()) tokens[request]!.push(call.tokens[i]!);
  }
  return { calls, tokens };
}

/** Each request alone, in the loop of `steps`. */
async function alone(model: Llama, { prompt, maxGenLen }: Request, sampling = {}): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { next } of steps(model, [prompt], { ...greedy(maxGenLen), ...sampling }))
    tokens.push(next[0]!.id);
  return tokens;
}

onEveryBackend("Continuous batching", () => {
  it("gives each request the tokens of the loop, computes each position once, and frees all memory", async () => {
    const model = randomLlama();
    const before = tf.memory().numTensors;
    const { calls, tokens } = await run(model, REQUESTS);
    for (const [i, request] of REQUESTS.entries())
      expect(tokens[i], `request ${i}`).to.deep.equal(await alone(model, request));
    const needed = REQUESTS.reduce((sum, { prompt, maxGenLen }) => sum + prompt.length + maxGenLen - 1, 0);
    expect(calls.reduce((sum, { positions }) => sum + positions, 0)).to.equal(needed);
    expect(calls.flatMap(({ finished }) => finished).toSorted()).to.deep.equal([...REQUESTS.keys()]);
    expect(calls.at(-1)!.blocks).to.equal(0);
    expect(tf.memory().numTensors).to.equal(before);
    model.dispose();
  });
});

onOneBackend("Continuous batching", () => {
  let model: Llama;
  before(() => (model = randomLlama()));
  after(() => model.dispose());

  it("lets a request join when another leaves", async () => {
    const { calls } = await run(model, REQUESTS);
    for (const { requests } of calls) expect(requests.length).to.be.at.most(3);
    const joins = calls.flatMap(({ kind }, i) => (kind === "prefill" ? [i] : []));
    expect(joins.some((at) => calls[at - 1]?.kind === "decode" && calls[at + 1]?.kind === "decode")).to.equal(
      true,
    );
  });

  it("waits for free blocks, and never uses more than there are", async () => {
    const { calls, tokens } = await run(model, REQUESTS, { blocks: 9 });
    expect(Math.max(...calls.map(({ blocks }) => blocks))).to.be.within(6, 9);
    expect(tokens).to.deep.equal((await run(model, REQUESTS)).tokens);
  });

  it("shares the blocks of a prompt that is running", async () => {
    const prefix = randomIds(16, 50);
    const requests = [1, 2].map((seed) => ({ prompt: [...prefix, ...randomIds(3, seed)], maxGenLen: 8 }));
    const { calls, tokens } = await run(model, requests);
    expect(calls.filter(({ kind }) => kind === "prefill").map(({ positions }) => positions)).to.deep.equal([
      19, 3,
    ]);
    for (const [i, request] of requests.entries())
      expect(tokens[i]).to.deep.equal(await alone(model, request));
  });

  it("ends a request at a stop token", async () => {
    const expected = await alone(model, REQUESTS[0]!);
    const stopIds = new Set([expected[4]!]);
    const { tokens } = await run(model, REQUESTS.slice(0, 2), { stopIds });
    expect(tokens[0]).to.deep.equal(expected.slice(0, expected.indexOf(expected[4]!) + 1));
  });

  it("samples each request as the loop does a sequence of that index", async () => {
    const sampling = { temperature: 0.8, topP: 0.9, seed: 3 };
    const { tokens } = await run(model, REQUESTS, sampling);
    expect(tokens[0]).to.deep.equal(await alone(model, REQUESTS[0]!, sampling));
  });

  it("respects a model's sliding window", async () => {
    const windowed = randomLlama({ ...TINY, slidingWindow: 6 });
    const { tokens } = await run(windowed, REQUESTS);
    for (const [i, request] of REQUESTS.entries())
      expect(tokens[i], `request ${i}`).to.deep.equal(await alone(windowed, request));
    windowed.dispose();
  });

  it("rejects a batch of no sequence", async () => {
    const message = /^maxBatch must be a whole number >= 1, got 0$/;
    await expectRejection(run(model, REQUESTS, { maxBatch: 0 }), InputError, message);
  });

  it("rejects a request that exceeds the pool", async () => {
    await expectRejection(
      run(model, REQUESTS, { blocks: 7 }),
      InputError,
      /^request 3 must fit in 7 blocks, got 9$/,
    );
  });
});
