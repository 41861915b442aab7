import * as tf from "@tensorflow/tfjs-core";
import { AssertionError, expect } from "chai";
import type { StepOptions } from "../../src/generation/options.js";
import type { Step } from "../../src/generation/steps.js";
import { BlockDecoder } from "../../src/graph/block-decoder.js";
import type { BlockStart } from "../../src/graph/decode-block.js";
import type { InputValues } from "../../src/graph/session.js";
import {
  compareModes,
  Conversation,
  GraphLlama,
  InputError,
  Llama,
  loadBackend,
  loadChatTemplate,
  loadCheckpoint,
  type Model,
  steps,
} from "../../src/index.js";
import type { Cache } from "../../src/model/generation-cache.js";
import { randomWeights } from "../../src/model/random-weights.js";
import { NotFiniteError } from "../../src/util/errors.js";
import {
  backends,
  expectClose,
  expectRejection,
  fixture,
  greedy,
  randomIds,
  randomLlama,
  stepsOf,
  TINY,
} from "../support.js";

/** Tokens of a generation by `stepsOf`. */
const LENGTH = 40;
const CAPACITY = 80;

/** Whole sequences, prompt and padding included, after the last of some steps. */
const tokensOf = (prompts: number[][], taken: readonly Step[]): number[][] =>
  prompts.map((prompt, i) => {
    const { curPos } = taken[0]!;
    return [...prompt.slice(0, curPos), ...taken.map(({ next }) => next[i]!.id)];
  });

/** Tokens that sequences generate in some steps, by sequence: stop tokens which end them inside a block. */
function stopsAt(taken: readonly Step[], at: Readonly<Record<number, number>>): Set<number> {
  return new Set(Object.entries(at).map(([i, step]) => taken[step]!.next[Number(i)]!.id));
}

/** Sampling with a nucleus of several tokens, even of these random weights. */
const SAMPLED = { temperature: 0.8, topP: 0.9, seed: 5 };

/** Of the ragged batch: two sequences stop, the others go on to the full length. */
const STOPS = { 2: 22, 1: 31 };

for (const execution of ["graph", "xla"]) {
  describe(`Decode blocks (${execution})`, function () {
    let eager: Llama;
    /** One for each batch size, so that neither is traced twice. */
    let models: ReadonlyMap<number, GraphLlama>;
    /** The blocks that a model was asked for. */
    let blocks: BlockStart[];

    before(async function () {
      if (!backends.includes("tensorflow")) return this.skip();
      await loadBackend("tensorflow");
      eager = randomLlama();
      models = new Map([one, ragged].map(({ length }) => [length, graphModel(length)]));
    });
    beforeEach(() => (blocks = []));
    after(() => {
      eager?.dispose();
      for (const model of models?.values() ?? []) model.dispose();
    });

    const one = [randomIds(5, 1)];
    const ragged = [randomIds(3, 1), randomIds(11, 2), randomIds(1, 3), randomIds(7, 4)];

    function graphModel(batchSize: number): GraphLlama {
      const model = new GraphLlama(randomLlama(), { xla: execution === "xla", device: "cpu" }); // short blocks
      model.prepare(batchSize, CAPACITY);
      const decodeBlock = model.decodeBlock.bind(model);
      model.decodeBlock = (start) => {
        blocks.push(start);
        return decodeBlock(start);
      };
      return model;
    }
    const modelFor = (prompts: number[][]) => models.get(prompts.length)!;

    /** Steps in each call: as many as the sequence that goes on longest. */
    const sizes = () => blocks.map(({ steps: each }) => Math.max(...each));

    /** Fails unless a model in graph mode takes an eager model's steps. */
    async function expectSameSteps(prompts: number[][], options: Partial<StepOptions>) {
      const expected = await stepsOf(eager, prompts, options);
      const actual = await stepsOf(modelFor(prompts), prompts, options);
      expect(actual, JSON.stringify(options)).to.deep.equal(expected);
    }

    it("give the steps of an eager model, and the tokens that are computed without the cache", async () => {
      for (const prompts of [one, ragged]) {
        for (const maxGenLen of [1, 2, 16, LENGTH]) {
          await expectSameSteps(prompts, { maxGenLen });
        }
        const uncached = await stepsOf(eager, prompts, { useCache: false });
        expect(tokensOf(prompts, await stepsOf(modelFor(prompts), prompts))).to.deep.equal(
          tokensOf(prompts, uncached),
        );
      }
    });

    it("draw the tokens that an eager model draws", async () => {
      const settings = [
        { temperature: 1, topP: 0.9 },
        { temperature: 1, topP: 1, seed: 2 ** 40 + 3 },
        { temperature: 0.5, topK: 5, topP: 0.8, seed: 7 },
      ];
      for (const prompts of [one, ragged]) {
        for (const options of settings) await expectSameSteps(prompts, options);
      }
      expect(sizes().slice(0, 6)).to.deep.equal([1, 2, 4, 8, 16, 8]);
    });

    it("start with one step, double up to 16, and end with the generation", async () => {
      await stepsOf(modelFor(one), one);
      expect(sizes()).to.deep.equal([1, 2, 4, 8, 16, 8]); // after the prefill's token
    });

    it("are one step long while a sequence is within its prompt", async () => {
      await stepsOf(modelFor(ragged), ragged, { maxGenLen: 8 });
      expect(sizes().slice(0, 12)).to.deep.equal([...Array<number>(11).fill(1), 2]);
    });

    it("end a sequence at its stop token, and compute no step twice for it", async () => {
      for (const prompts of [one, ragged]) {
        for (const sampling of [{}, SAMPLED]) {
          const free = await stepsOf(eager, prompts, sampling);
          for (const at of prompts === one ? [{ 0: 12 }, { 0: 20 }] : [STOPS, { 3: 11 }, { 0: 4, 1: 10 }]) {
            blocks = [];
            await expectSameSteps(prompts, { ...sampling, stopIds: stopsAt(free, at) });
            const starts = blocks.map(({ position }) => position);
            const ends = blocks.map(({ position }, i) => position + sizes()[i]!);
            expect(starts.slice(1)).to.deep.equal(ends.slice(0, -1));
          }
        }
      }
    });

    it("may be given more stop tokens than the graph compares with", async () => {
      const free = await stepsOf(eager, ragged);
      const others = Array.from({ length: 20 }, (_, i) => 1000 + i); // never generated
      const stopIds = new Set([...others, ...stopsAt(free, STOPS)]);
      await expectSameSteps(ragged, { stopIds });
    });

    it("are not used where logits are read on the host", async () => {
      const { difference } = await compareModes(modelFor(one), one, greedy(6));
      await stepsOf(modelFor(one), one, { maxGenLen: 6, sample: () => 3 });
      expect([difference, blocks]).to.deep.equal([undefined, []]);
    });

    it("report logits that are not finite at the position of a single step", async () => {
      const free = await stepsOf(eager, one);
      const bad = free[9]!.next[0]!.id;
      const { embedding, ...weights } = randomWeights(TINY);
      const rows = embedding.arraySync();
      embedding.dispose();
      rows[bad]!.fill(NaN);
      const damaged = new Llama(TINY, { ...weights, embedding: tf.tensor2d(rows) });
      const message = await stepsOf(damaged, one).catch((error: Error) => error.message);
      const own = new GraphLlama(damaged, { xla: execution === "xla" });
      await expectRejection(stepsOf(own, one), NotFiniteError, /in sequence 0 at position \d+/);
      expect(await stepsOf(own, one).catch((error: Error) => error.message)).to.equal(message);
      own.dispose();
    });

    /**
     * Ends a generation early, then generates on in its cache.
     *
     * @param taken steps before the end; Infinity for a generation that ends by itself
     * @returns the cache's length at the end, all tokens, and the logits of the steps after it
     */
    async function interrupted(of: Model, taken: number, options: Partial<StepOptions> = {}) {
      const cache = of.createCache(ragged.length, CAPACITY) as Cache;
      const done: Step[] = [];
      for await (const step of steps(of, ragged, { ...greedy(LENGTH), ...options, cache })) {
        done.push(step);
        if (done.length === taken) break;
      }
      const { length } = cache;
      const prompts = tokensOf(ragged, done);
      const logits: number[] = [];
      const onLogits = (each: readonly Float32Array[]) =>
        logits.push(...each.flatMap((values) => [...values]));
      const on = await stepsOf(of, prompts, { cache, maxGenLen: 6, onLogits });
      cache.dispose();
      return { length, tokens: tokensOf(prompts, on), logits };
    }

    /** Fails unless a generation in blocks leaves the cache that single steps of an eager model leave. */
    async function expectSameCache(taken: number, options?: Partial<StepOptions>) {
      const actual = await interrupted(modelFor(ragged), taken, options);
      const expected = await interrupted(eager, taken, options);
      expect(actual.length, `length after ${taken} steps`).to.equal(expected.length);
      expectClose(actual.logits, expected.logits, 1e-4, `after ${taken} steps`);
      expect(actual.tokens).to.deep.equal(expected.tokens);
    }

    it("leave the cache of single steps when a generation is interrupted inside a block", async () => {
      for (const taken of [1, 12, 15, 19, 27]) await expectSameCache(taken);
      for (const taken of [12, 19]) await expectSameCache(taken, SAMPLED);
    });

    it("leave the cache of single steps when sequences stop inside a block", async () => {
      for (const sampling of [{}, SAMPLED]) {
        const stopIds = stopsAt(await stepsOf(eager, ragged, sampling), STOPS);
        await expectSameCache(Infinity, { ...sampling, stopIds });
      }
    });

    it("end with the signal, before the next step", async () => {
      for (const sampling of [{}, SAMPLED]) {
        const controller = new AbortController();
        const { signal } = controller;
        let taken = 0;
        const generate = async () => {
          for await (const _ of steps(modelFor(one), one, { ...greedy(LENGTH), ...sampling, signal }))
            if (++taken === 10) controller.abort();
        };
        await expectRejection(generate(), DOMException as never, /aborted/);
        expect(taken).to.equal(10);
      }
    });

    it("keep a conversation's cache right after a reply that is interrupted", async () => {
      const replies: string[][] = [];
      for (const inGraph of [false, true]) {
        const { model: llama, tokenizer } = await loadCheckpoint(fixture("fairy-tales"));
        const talking = inGraph ? new GraphLlama(llama, { xla: execution === "xla" }) : llama;
        const template = await loadChatTemplate(fixture("fairy-tales"));
        const conversation = new Conversation(talking, tokenizer, template, 256);
        const said: string[] = [];
        for (const [i, message] of ["Who lived in the wood?", "And then?", "Go on."].entries()) {
          let text = "";
          const temperature = i === 1 ? 0 : 0.8;
          for await (const delta of conversation.reply(message, { temperature, maxGenLen: 30 })) {
            text += delta;
            if (i < 2 && text.length > 20) break; // as Ctrl-C does
          }
          said.push(text);
        }
        replies.push(said);
        conversation.dispose();
        talking.dispose();
      }
      expect(replies[1]).to.deep.equal(replies[0]);
    });

    describe("with a planted bug", () => {
      interface Inner {
        ahead: readonly unknown[];
        isReady(ids: readonly number[], position: number): boolean;
        step: BlockDecoder["step"];
      }
      const prototype = BlockDecoder.prototype as unknown as Inner;
      const { isReady, step } = prototype;
      const { decodeBlock } = GraphLlama.prototype;
      afterEach(() => Object.assign(prototype, { isReady, step }));

      it("fail the test of stop tokens: a sequence goes on after its stop token", async () => {
        const stopIds = stopsAt(await stepsOf(eager, ragged), STOPS);
        prototype.isReady = function () {
          return this.ahead.length > 0;
        };
        const model = modelFor(ragged);
        const right = model.decodeBlock;
        model.decodeBlock = (start) => decodeBlock.call(model, { ...start, stopIds: new Set<number>() });
        try {
          await expectRejection(expectSameCache(Infinity, { stopIds }), AssertionError, /largest difference/);
        } finally {
          model.decodeBlock = right;
        }
      });

      it("fail the test of draws: each block begins with the same random numbers", async () => {
        const { session } = modelFor(one)["graph"].loaded!;
        const run = session.run.bind(session);
        const name = "block.sampled/draws";
        let first: InputValues | undefined;
        session.run = (inputs, output) => {
          if (!inputs[name]) return run(inputs, output);
          first ??= { [name]: inputs[name] };
          return run({ ...inputs, ...first }, output);
        };
        try {
          await expectRejection(expectSameSteps(one, SAMPLED), AssertionError, /to deeply equal/);
        } finally {
          session.run = run;
        }
      });

      it("fail the test of interruptions: the cache keeps the length of the whole block", async () => {
        prototype.step = function (tokens, cache) {
          const result = step.call(this, tokens, cache);
          cache.grow(this.ahead.length);
          return result;
        };
        await expectRejection(
          expectSameCache(19),
          InputError,
          /^a cache must be used by one generation at a time/,
        );
      });
    });
  });
}
