import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { cacheKind } from "../../src/cache/cache-kind.js";
import { SlidingWindowCache, slotOf } from "../../src/cache/sliding-window-cache.js";
import { parseConfig } from "../../src/checkpoint/hugging-face-config.js";
import { loadModel } from "../../src/checkpoint/load.js";
import { compareModes, type Llama, steps } from "../../src/index.js";
import { KVCache } from "../../src/model/kv-cache.js";
import { rotate, RotaryEmbedding } from "../../src/model/rotary-embedding.js";
import {
  expectClose,
  fixture,
  greedy,
  onEveryBackend,
  onOneBackend,
  randomIds,
  randomLlama,
  TINY,
} from "../support.js";

/** The plain cache behind a mask that hides what a window would have dropped. */
class MaskedCache extends KVCache {
  constructor(
    capacity: number,
    private readonly window: number,
    private readonly sinks: number,
  ) {
    super(TINY, 1, capacity);
  }

  begin(T: number): tf.Tensor2D {
    const start = this.length;
    const hidden = (query: number, key: number) =>
      key > query || (key >= this.sinks && key <= query - this.window);
    return tf.tensor2d(
      Array.from({ length: T }, (_, t) =>
        Array.from({ length: start + T }, (__, key) => (hidden(start + t, key) ? -1e9 : 0)),
      ),
    );
  }
}

onEveryBackend("The sliding-window cache", () => {
  let model: Llama;
  before(() => (model = randomLlama()));
  after(() => model.dispose());

  for (const chunk of [1, 3, 8]) {
    it(`computes what the plain cache does behind a window's mask, in chunks of ${chunk}`, () => {
      const tokens = randomIds(60, 3);
      const sliding = new SlidingWindowCache(TINY, 1, 128, 8, 12, 0);
      const masked = new MaskedCache(60, 12, 0);
      for (let at = 0; at < tokens.length; at += chunk) {
        const [actual, expected] = [sliding, masked].map((cache) =>
          model.forward([tokens.slice(at, at + chunk)], cache),
        );
        expectClose(actual!.dataSync(), expected!.dataSync(), 1e-4, `position ${at}`);
        tf.dispose([actual!, expected!]);
      }
      sliding.dispose();
      masked.dispose();
    });
  }

  it("rotates the sinks' keys as if they stood right before the window, and no others", () => {
    const { nKvHeads: K, headDim: D } = TINY;
    const [window, sinks] = [6, 2];
    const cache = new SlidingWindowCache(TINY, 1, 128, 4, window, sinks);
    const rotary = new RotaryEmbedding(TINY);
    const raw = (p: number) => tf.tensor3d(randomIds(K * D, p), [K, 1, D], "float32");
    tf.tidy(() => {
      for (let p = 0; p < 20; p++) {
        cache.begin(1);
        const [keys] = cache.layers.map((layer) =>
          layer.append(rotate(raw(p), rotary.at(p, p + 1)), raw(p)),
        )[0]!;
        const dropped = Math.max(0, p + 1 - window - sinks);
        for (let sink = 0; sink < Math.min(sinks, p + 1); sink++) {
          const expected = rotate(raw(sink), rotary.at(sink + dropped, sink + dropped + 1));
          expectClose(
            tf.slice(keys, [0, sink, 0], [K, 1, D]).dataSync(),
            expected.dataSync(),
            1e-3,
            `position ${p}`,
          );
        }
        const last = slotOf(p, sinks, window + sinks + 4);
        const own = tf.slice(keys, [0, last, 0], [K, 1, D]);
        if (p >= sinks)
          expectClose(own.dataSync(), rotate(raw(p), rotary.at(p, p + 1)).dataSync(), 0, `position ${p}`);
      }
    });
    cache.dispose();
  });

  it("generates beyond the model's context with constant bytes", async () => {
    const options = {
      ...greedy(200),
      cacheKind: cacheKind({ cache: "sliding", window: 16, prefillChunk: 4 }),
    };
    const before = tf.memory().numBytes;
    const bytes = new Set<number>();
    for await (const { curPos } of steps(model, [randomIds(20, 1)], options))
      if (curPos > 20) bytes.add(tf.memory().numBytes - before);
    expect([...bytes]).to.deep.equal([options.cacheKind.bytes(TINY, 1, 220)]);
  });

  it("drops all positions when it cannot restore the state before", () => {
    const cache = new SlidingWindowCache(TINY, 1, 128, 4, 8, 0);
    model.forward([randomIds(40, 1)], cache).dispose();
    cache.truncate(36);
    expect(cache.length).to.equal(36);
    cache.truncate(30);
    expect(cache.length).to.equal(0);
    model.forward([[1]], cache).dispose();
    cache.dispose();
  });
});

/** The exact caches of a model with a sliding window; in two of them the ring is longer than the window, or as long. */
const EXACT = (window: number) =>
  [
    { cache: "plain", prefillChunk: 4 },
    { cache: "paged", blockSize: 4 },
    { cache: "sliding", window, prefillChunk: 4 },
    { cache: "sliding", window: window + 14 },
  ] as const;

// Made by fixtures/make_tiny_models.py: a prompt of 120 tokens, a window of 24.
onEveryBackend("Mistral 7B v0.1's sliding window, as transformers computes it", () => {
  let model: Llama;
  const golden = readGolden();
  before(async () => (model = await loadModel(golden.config, golden.directory)));
  after(() => model.dispose());

  for (const settings of EXACT(24)) {
    const kind = cacheKind(settings);
    it(`gives the logits and greedy tokens, ${kind.name}, chunks of ${kind.prefillChunk}`, async () => {
      const cache = model.createCache(1, 160, kind);
      const logits = model.forward([golden.tokens], cache);
      expectClose(logits.dataSync(), golden.logits, 1e-3);
      logits.dispose();
      cache.dispose();
      const options = { ...greedy(golden.greedy.length), cacheKind: kind, stopIds: new Set([2]) };
      const tokens: number[] = [];
      for await (const { next } of steps(model, [golden.tokens], options)) tokens.push(next[0]!.id);
      expect(tokens).to.deep.equal(golden.greedy);
      expect(kind.maxDivergence(model.config, 144), "exact").to.equal(0);
    });
  }
});

function readGolden() {
  const directory = fixture("tiny/mistral-0.1");
  const read = (path: string) => JSON.parse(readFileSync(fixture(path), "utf8"));
  const config = parseConfig(read("tiny/mistral-0.1/config.json"), directory);
  const golden = read("tiny/goldens.json").formats["mistral-0.1"];
  return { directory, config, ...(golden as { tokens: number[]; greedy: number[]; logits: number[] }) };
}

onOneBackend("A model with a sliding window", () => {
  const config = { ...TINY, slidingWindow: 6 };

  it("is exact with a sliding cache that has the model's window and no sinks", () => {
    const bound = (settings: object, positions: number) =>
      cacheKind({ cache: "sliding", window: 6, ...settings }).maxDivergence(config, positions);
    expect([bound({}, 30), bound({ window: 7 }, 30), bound({ sinks: 2 }, 6)]).to.deep.equal([0, 0, 0]);
    for (const settings of [{ window: 5 }, { sinks: 2 }]) expect(bound(settings, 30)).to.be.above(0);
  });

  it("has a sliding cache of the predicted bytes, also if the cache's window is longer than the model's", () => {
    const model = randomLlama(config);
    for (const window of [4, 6, 20]) {
      const kind = cacheKind({ cache: "sliding", window, prefillChunk: 4 });
      const before = tf.memory().numBytes;
      const cache = model.createCache(1, 100, kind);
      expect(tf.memory().numBytes - before).to.equal(kind.bytes(config, 1, 100));
      cache.dispose();
    }
    model.dispose();
  });

  it("gives identical tokens with every exact cache and without one", async () => {
    const model = randomLlama(config);
    for (const settings of EXACT(6)) {
      const options = { ...greedy(30), cacheKind: cacheKind(settings) };
      const { difference, maxLogitDifference } = await compareModes(
        model,
        [randomIds(14, 1), randomIds(9, 2)],
        options,
      );
      expect([difference, maxLogitDifference < 1e-4], cacheKind(settings).name).to.deep.equal([
        undefined,
        true,
      ]);
    }
    model.dispose();
  });

  it("ignores tokens before the window of every layer", () => {
    const model = randomLlama(config);
    const [a, b] = [randomIds(20, 1), randomIds(20, 1)];
    const reach = 1 + TINY.nLayers * (config.slidingWindow - 1); // positions that the last one depends on
    b[20 - reach - 1] = (b[20 - reach - 1]! + 1) % TINY.vocabSize;
    const [first, second] = [a, b].map((ids) => model.forward([ids]));
    expectClose(first!.dataSync(), second!.dataSync(), 0);
    b[20 - reach] = (b[20 - reach]! + 1) % TINY.vocabSize;
    const third = model.forward([b]);
    expect(Math.max(...third.dataSync().map((x, i) => Math.abs(x - first!.dataSync()[i]!)))).to.be.above(
      1e-6,
    );
    tf.dispose([first!, second!, third]);
    model.dispose();
  });
});
