import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { cacheKind, type CacheSettings } from "../../src/cache/cache-kind.js";
import type { SlidingWindowCache } from "../../src/cache/sliding-window-cache.js";
import { compareCaches } from "../../src/generation/compare-caches.js";
import { compareModes, GraphLlama, InputError, type Llama, loadBackend, steps } from "../../src/index.js";
import { backends, expectClose, greedy, randomIds, randomLlama, TINY } from "../support.js";

const ROUNDING = 1e-4;

/** The sinks are rotated once per call, so with them both must have the same calls: chunks of a power of two. */
const KINDS: readonly CacheSettings[] = [
  { cache: "plain", prefillChunk: 8 },
  { cache: "paged", blockSize: 16 },
  { cache: "paged", blockSize: 5, prefillChunk: 7 },
  { cache: "sliding", window: 64 },
  { cache: "sliding", window: 12, prefillChunk: 8 },
  { cache: "sliding", window: 12, prefillChunk: 4, sinks: 3 },
];

/** The ends of a call's positions: prompts in chunks, and decode steps. */
const ENDS = [21, 22, 23, 40, ...Array.from({ length: 20 }, (_, i) => 41 + i)];

describe("Caches in graph mode", function () {
  let graph: GraphLlama;
  let eager: Llama;

  before(async function () {
    if (!backends.includes("tensorflow")) this.skip();
    await loadBackend("tensorflow");
  });
  beforeEach(() => {
    eager = randomLlama();
    graph = new GraphLlama(randomLlama());
  });
  afterEach(() => {
    eager.dispose();
    graph.dispose();
  });

  /** The logits of a call, which are disposed. */
  const values = (logits: tf.Tensor2D): number[] => {
    const numbers = Array.from(logits.dataSync());
    logits.dispose();
    return numbers;
  };

  function expectSameLogits(model: GraphLlama, settings: CacheSettings): void {
    const kind = cacheKind(settings);
    const prompts = [randomIds(60, 1), randomIds(60, 2)];
    const [theirs, own] = [eager.createCache(2, 64, kind), model.createCache(2, 64, kind)];
    for (const [i, end] of ENDS.entries()) {
      const tokens = prompts.map((ids) => ids.slice(ENDS[i - 1] ?? 0, end));
      const [expected, actual] = [eager.forward(tokens, theirs), model.forward(tokens, own)];
      expectClose(values(actual), values(expected), ROUNDING, `${kind.name}, ${end} positions`);
    }
    theirs.dispose();
    own.dispose();
  }

  for (const settings of KINDS) {
    const { name, prefillChunk } = cacheKind(settings);
    it(`give the logits of eager execution: ${name}, chunks of ${prefillChunk}`, () => {
      expectSameLogits(graph, settings);
    });

    it(`continue after positions were dropped: ${name}, chunks of ${prefillChunk}`, () => {
      const ids = randomIds(34, 1);
      const cache = graph.createCache(1, 64, cacheKind(settings));
      values(graph.forward([ids.slice(0, 30)], cache));
      const once = values(graph.forward([ids.slice(30)], cache));
      cache.truncate(30);
      values(graph.forward([[7, 7]], cache));
      cache.truncate(30);
      expectClose(values(graph.forward([ids.slice(30)], cache)), once, ROUNDING);
    });
  }

  it("give the same logits XLA-compiled", () => {
    for (const settings of KINDS.filter(({ blockSize, sinks }) => blockSize === 5 || sinks === 3)) {
      const compiled = new GraphLlama(randomLlama(), { xla: true });
      expectSameLogits(compiled, settings);
      compiled.dispose();
    }
  });

  it("give the tokens of both modes, for a model with a sliding window", async () => {
    const windowed = new GraphLlama(randomLlama({ ...TINY, slidingWindow: 6 }));
    for (const settings of [
      { cache: "paged", blockSize: 4 },
      { cache: "sliding", window: 6, prefillChunk: 4 },
    ] as const) {
      const options = { ...greedy(20), cacheKind: cacheKind(settings) };
      const prompts = [randomIds(14, 1), randomIds(9, 2)];
      const { difference, maxLogitDifference } = await compareModes(windowed, prompts, options);
      expect([difference, maxLogitDifference < ROUNDING], settings.cache).to.deep.equal([undefined, true]);
    }
    windowed.dispose();
  });

  it("are compared with the plain cache", async () => {
    const paged = await compareCaches(graph, [randomIds(9, 1)], cacheKind({ cache: "paged" }), greedy(8));
    expect([paged.steps, paged.sameTop1, paged.maxLogitDifference < ROUNDING]).to.deep.equal([8, 1, true]);
    const short = cacheKind({ cache: "sliding", window: 4, prefillChunk: 2 });
    const sliding = await compareCaches(graph, [randomIds(9, 1)], short, greedy(8));
    expect(sliding.maxLogitDifference).to.be.above(0.01);
  });

  it("generate beyond the model's context with a sliding window, the tokens of eager execution", async () => {
    const cacheOfWindow = cacheKind({ cache: "sliding", window: 16, prefillChunk: 4 });
    const options = { ...greedy(120), cacheKind: cacheOfWindow };
    const generated: number[][] = [];
    for (const model of [eager, graph]) {
      const tokens: number[] = [];
      for await (const { next } of steps(model, [randomIds(20, 1)], options)) tokens.push(next[0]!.id);
      generated.push(tokens);
    }
    expect(generated[1]).to.deep.equal(generated[0]);
    expect(20 + generated[1]!.length).to.be.above(TINY.maxSeqLen);
  });

  it("drop all positions of a ring when it no longer has the window, as in eager execution", () => {
    const kind = cacheKind({ cache: "sliding", window: 8, prefillChunk: 4 });
    for (const length of [36, 30]) {
      const [theirs, own] = [eager.createCache(1, 100, kind), graph.createCache(1, 100, kind)];
      for (const logits of [
        eager.forward([randomIds(40, 1)], theirs),
        graph.forward([randomIds(40, 1)], own),
      ])
        logits.dispose();
      theirs.truncate(length);
      own.truncate(length);
      expect([theirs.length, own.length]).to.deep.equal(length === 36 ? [36, 36] : [0, 0]);
      expect(own.capacity).to.equal((theirs as SlidingWindowCache).capacity);
      expectClose(values(graph.forward([[1, 2]], own)), values(eager.forward([[1, 2]], theirs)), ROUNDING);
      theirs.dispose();
      own.dispose();
    }
  });

  it("free a generation's blocks when it ends", () => {
    const kind = cacheKind({ cache: "paged", blockSize: 8 });
    for (let generation = 0; generation < 3; generation++) {
      const cache = graph.createCache(2, 32, kind); // all blocks of the graph
      values(graph.forward([randomIds(32, 1), randomIds(32, 2)], cache));
      cache.dispose();
    }
  });

  it("are plain, paged or sliding, and others are rejected by name", () => {
    const message =
      "the cache must be plain, paged or sliding in graph mode, got quantized: use --execution eager";
    expect(() => graph.createCache(1, 8, cacheKind({ cache: "quantized" }))).to.throw(InputError, message);
  });
});
