import { AssertionError, expect } from "chai";
import { allCachedSizes, blockSize, type CallSize } from "../../src/graph/call-sizes.js";
import type { GraphOptions } from "../../src/graph/graph-calls.js";
import {
  Conversation,
  GraphLlama,
  InputError,
  type Llama,
  loadBackend,
  loadChatTemplate,
  loadCheckpoint,
  type Model,
} from "../../src/index.js";
import type { Cache } from "../../src/model/generation-cache.js";
import {
  backends,
  expectClose,
  expectRejection,
  fixture,
  randomIds,
  randomLlama,
  stepsOf,
  TINY,
} from "../support.js";

const ROUNDING = 1e-4;

/** Of the smallest bucket; others are 32 and the whole capacity, TINY's context. */
const SMALLEST = 8;
const CAPACITY = TINY.maxSeqLen;

/** The ends of calls: within a bucket, at its end, one position beyond it, and beyond the next one. */
const ENDS = [3, 7, 8, 9, 10, 29, 31, 32, 33, 34, 50, 51, 128];

describe("Buckets of the cache in graph mode", function () {
  let eager: Llama;
  const opened: GraphLlama[] = [];

  before(async function () {
    if (!backends.includes("tensorflow")) return this.skip();
    await loadBackend("tensorflow");
    eager = randomLlama();
  });
  after(() => eager?.dispose());
  afterEach(() => {
    for (const model of opened.splice(0)) model.dispose();
  });

  function inBuckets(options: GraphOptions = {}): GraphLlama {
    const model = new GraphLlama(randomLlama(), { smallestBucket: SMALLEST, ...options });
    opened.push(model);
    return model;
  }

  /** Positions of the cache that the calls of a graph read. */
  function read(model: GraphLlama): number[] {
    const { sizes } = model["graph"].loaded!;
    const cached = sizes.filter(({ useCache }) => useCache);
    return [...new Set(cached.map(({ S }) => S))].toSorted((a, b) => a - b);
  }

  const prompts = [randomIds(CAPACITY, 1), randomIds(CAPACITY, 2)];

  /** The logits of forward passes that end at some positions, each after the last one's. */
  function logitsAt(model: Model, ends: readonly number[], cache: Cache): number[] {
    return ends.flatMap((end) => {
      const logits = model.forward(
        prompts.map((ids) => ids.slice(cache.length, end)),
        cache,
      );
      const values = [...logits.dataSync()];
      logits.dispose();
      return values;
    });
  }

  function expectSameLogits(model: GraphLlama, ends = ENDS): void {
    const [own, theirs] = [model.createCache(2, CAPACITY), eager.createCache(2, CAPACITY)];
    expectClose(logitsAt(model, ends, own), logitsAt(eager, ends, theirs), ROUNDING, `calls to ${ends}`);
    own.dispose();
    theirs.dispose();
  }

  /** One sequence or a ragged batch whose shortest prompt has some length. */
  const promptsFrom = (length: number, batch: number) =>
    Array.from({ length: batch }, (_, i) => randomIds(length + [0, 5, 1][i]!, i + 1));

  for (const xla of [false, true]) {
    for (const device of xla ? (["cuda"] as const) : (["cpu", "cuda"] as const)) {
      describe(`made for ${device}${xla ? ", compiled" : ""}`, () => {
        it("give the logits of eager execution across their ends, in chunks and in single steps", () => {
          const model = inBuckets({ device, xla });
          expectSameLogits(model);
          expectSameLogits(model, [40, 41, 42]);
          if (xla) return;
          const all = Array.from({ length: 40 }, (_, i) => i + 1);
          expectSameLogits(model, all);
          expect(read(model)).to.deep.equal([8, 32, CAPACITY]);
        });

        for (const batch of xla ? [3] : [1, 3]) {
          it(`give the steps of eager execution in blocks that begin before, at and after their ends, batch ${batch}`, async () => {
            const model = inBuckets({ device, xla });
            model.prepare(batch, CAPACITY, undefined, (use) =>
              [8, 32, CAPACITY].flatMap((end) => allCachedSizes(end, use)),
            );
            for (const length of xla ? [7, 31] : [6, 7, 8, 9, 30, 32]) {
              for (const sampling of [{}, { temperature: 0.8, topP: 0.9, seed: 5 }]) {
                const own = promptsFrom(length, batch);
                const expected = await stepsOf(eager, own, sampling);
                expect(await stepsOf(model, own, sampling), `prompt of ${length}`).to.deep.equal(expected);
              }
            }
          }).timeout(120_000);
        }
      });
    }
  }

  it("give the logits of eager execution at each step of a ragged batch", async () => {
    const logits: number[][] = [];
    const own = promptsFrom(6, 3);
    for (const model of [eager, inBuckets()]) {
      const all: number[] = [];
      await stepsOf(model, own, {
        onLogits: (each) => all.push(...each.flatMap((values) => [...values])),
      });
      logits.push(all);
    }
    expectClose(logits[1]!, logits[0]!, ROUNDING);
  });

  it("are traced if a generation passes through them", async () => {
    const model = inBuckets();
    const prepared: CallSize[][] = [];
    const { prepare } = model;
    model.prepare = (...of) => {
      prepared.push([...prepare.apply(model, of)]);
      return prepared.at(-1)!;
    };
    await stepsOf(model, [randomIds(20, 1)], { maxGenLen: 60 });
    expect(read(model)).to.deep.equal([32, 80 + 16]); // capacities are multiples of 32
    const [first] = prepared;
    for (const later of prepared.slice(1)) expect(first).to.deep.include.members(later);
    const short = inBuckets();
    await stepsOf(short, [randomIds(4, 1)], { maxGenLen: 4 });
    expect(read(short)).to.deep.equal([8]);
  });

  it("are traced one by one for a cache of any prompts, which is kept", () => {
    const model = inBuckets();
    const [own, theirs] = [model.createCache(2, CAPACITY), eager.createCache(2, CAPACITY)];
    const traced: number[][] = [read(model)];
    for (const end of [6, 20, 40]) {
      expectClose(logitsAt(model, [end], own), logitsAt(eager, [end], theirs), ROUNDING, `to ${end}`);
      traced.push(read(model));
    }
    expect(traced).to.deep.equal([[8], [8], [8, 32], [8, 32, CAPACITY]]);
    const { length } = model["graph"].loaded!.sizes;
    const ofLargest = model["graph"].loaded!.sizes.filter(({ S }) => S === CAPACITY);
    expect(length).to.equal(3 * ofLargest.length); // all calls of each bucket
    theirs.dispose();
  });

  it("are smaller again after positions were dropped, and hide these", () => {
    const model = inBuckets();
    const [own, theirs] = [model.createCache(2, CAPACITY), eager.createCache(2, CAPACITY)];
    for (const length of [0, 5, 30, 2, 8]) {
      own.truncate(length);
      theirs.truncate(length);
      const ends = [length + 1, length + 4, 50];
      expectClose(logitsAt(model, ends, own), logitsAt(eager, ends, theirs), ROUNDING, `from ${length}`);
    }
    theirs.dispose();
  });

  it("give the replies of eager execution in a conversation that is interrupted and regenerated", async () => {
    const template = await loadChatTemplate(fixture("fairy-tales"));
    const said: string[][] = [];
    for (const options of [undefined, { device: "cuda" } as const]) {
      const { model: llama, tokenizer } = await loadCheckpoint(fixture("fairy-tales"));
      const talking = options ? new GraphLlama(llama, { smallestBucket: 32, ...options }) : llama;
      const conversation = new Conversation(talking, tokenizer, template, 256);
      const replies: string[] = [];
      const listen = async (reply: AsyncGenerator<string>, most = Infinity) => {
        let text = "";
        for await (const delta of reply) {
          text += delta;
          if (text.length > most) break;
        }
        replies.push(text);
      };
      await listen(conversation.reply("Who lived in the wood?", { temperature: 0, maxGenLen: 30 }), 20);
      await listen(conversation.reply("And then?", { temperature: 0.8, maxGenLen: 30 }));
      await listen(conversation.regenerate({ temperature: 0.8, seed: 3, maxGenLen: 20 }));
      conversation.reset(); // the next prompt is in a smaller bucket again
      await listen(conversation.reply("Tell me of the king.", { temperature: 0, maxGenLen: 20 }));
      said.push(replies);
      conversation.dispose();
      talking.dispose();
    }
    expect(said[1]).to.deep.equal(said[0]);
  });

  it("must have a position", () => {
    const llama = randomLlama();
    for (const smallestBucket of [0, 1.5, NaN]) {
      expect(() => new GraphLlama(llama, { smallestBucket })).to.throw(
        InputError,
        `smallestBucket must be a whole number >= 1, got ${smallestBucket}`,
      );
    }
    llama.dispose();
  });

  describe("with a planted bug", () => {
    /** A model whose calls read other numbers of positions than they should. */
    function damaged(change: (size: CallSize) => CallSize): GraphLlama {
      const model = inBuckets();
      const { prepare } = model;
      model.prepare = (B, L, kind, sizes) =>
        prepare.call(model, B, L, kind, sizes && ((use) => sizes(use).map(change)));
      return model;
    }

    it("fail the comparison of logits: a call that ends in the second bucket reads the first", () => {
      const model = damaged((size) => (size.S === 32 ? { ...size, S: 8 } : size));
      expect(() => expectSameLogits(model, [6, 20])).to.throw(AssertionError, /largest difference/);
    });

    it("fail the comparison of steps: a block reads the bucket of its first step", async () => {
      const own = promptsFrom(29, 1);
      const expected = await stepsOf(eager, own, {});
      const model = inBuckets({ device: "cuda" });
      const { decodeBlock } = model;
      model.decodeBlock = (start) => {
        const { prepare } = model;
        model.prepare = (B, L, kind) =>
          prepare.call(model, B, L, kind, (use) => [blockSize("greedy", start.position + 1, use)]);
        try {
          return decodeBlock.call(model, start);
        } finally {
          model.prepare = prepare;
        }
      };
      const compare = async () => expect(await stepsOf(model, own, {})).to.deep.equal(expected);
      await expectRejection(compare(), AssertionError, /to deeply equal/);
    });
  });
});
