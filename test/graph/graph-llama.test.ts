import fs from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { record, Recorder } from "../../src/graph/tracer.js";
import {
  compareModes,
  InputError,
  Llama,
  loadBackend,
  type Probe,
  GraphLlama,
  steps,
} from "../../src/index.js";
import { NotFiniteError } from "../../src/util/errors.js";
import { randomWeights } from "../../src/model/random-weights.js";
import type { StepOptions } from "../../src/generation/options.js";
import { GraphCache } from "../../src/graph/graph-cache.js";
import { tensorflowBackend } from "../../src/backend/tensorflow-backend.js";
import { backends, expectClose, expectRejection, randomIds, randomLlama, TINY } from "../support.js";

const ROUNDING = 1e-4;
const GREEDY: StepOptions = { temperature: 0, topP: 1, seed: 0, maxGenLen: 6, useCache: true, stopIds: new Set() }; // prettier-ignore

// That a recorded model gives the same tokens, scores and activations as an eager one and as transformers is tested
// with those: generation/equality.test.ts and goldens.test.ts. Here is what only a recorded one has.
describe("A recorded model", function () {
  let model: GraphLlama;

  before(async function () {
    if (!backends.includes("tensorflow")) this.skip();
    await loadBackend("tensorflow");
  });
  beforeEach(() => (model = new GraphLlama(randomLlama())));
  afterEach(() => model.dispose());

  async function ids(prompts: number[][], options: Partial<StepOptions> = {}): Promise<number[][]> {
    const chosen: number[][] = [];
    for await (const { next } of steps(model, prompts, { ...GREEDY, ...options }))
      chosen.push(next.map(({ id }) => id));
    return chosen;
  }

  it("keeps its weights when it is recorded anew for other sizes", async () => {
    const prompt = randomIds(5, 1);
    const first = await ids([prompt]);
    const batch = await ids([prompt, randomIds(9, 2)]);
    expect(batch.length).to.be.greaterThan(first.length);
    await ids([randomIds(60, 3)], { maxGenLen: 40 });
    expect(await ids([prompt])).to.deep.equal(first);
  });

  it("sees nothing of an earlier, longer generation in its cache", async () => {
    const prompt = randomIds(3, 1);
    const first = await ids([prompt]);
    await ids([randomIds(20, 2)]);
    expect(await ids([prompt])).to.deep.equal(first);
  });

  it("names scores that are not finite, and forgets them with the generation", async () => {
    const { embedding, ...weights } = randomWeights(TINY);
    const values = embedding
      .dataSync<"float32">()
      .slice()
      .fill(NaN, 5 * TINY.hiddenSize, 6 * TINY.hiddenSize); // of token 5
    embedding.dispose();
    const damaged = new GraphLlama(new Llama(TINY, { ...weights, embedding: tf.tensor2d(values, [TINY.vocabSize, TINY.hiddenSize]) })); // prettier-ignore
    const generate = async (prompt: number[]) => {
      const chosen: number[] = [];
      for await (const { next } of steps(damaged, [[1, 2, 3, 4, 6], prompt], GREEDY))
        chosen.push(...next.map(({ id }) => id));
      return chosen;
    };
    const healthy = [7, 8, 9, 10, 11];
    const before = await generate(healthy);
    await expectRejection(generate([7, 8, 9, 10, 5]), NotFiniteError, /in sequence 1 at position/);
    expect(await generate(healthy)).to.deep.equal(before);
    damaged.dispose();
  });

  it("leaves nothing behind, in TensorFlow.js or the native library", async () => {
    const { binding } = tensorflowBackend("a test");
    await ids([randomIds(5, 1)]);
    const before = {
      ...tf.memory(),
      handles: binding.getNumOfTensors(),
      graphs: binding.getNumOfSavedModels(),
    };
    await ids([randomIds(7, 2)]);
    await ids([randomIds(7, 2)], { useCache: false });
    await ids([randomIds(40, 3)], { maxGenLen: 30 }); // recorded anew
    expect(tf.memory()).to.include({ numTensors: before.numTensors, numBytes: before.numBytes });
    expect(binding.getNumOfTensors()).to.equal(before.handles);
    expect(binding.getNumOfSavedModels()).to.equal(before.graphs);
  });

  it("takes one call into TensorFlow for a token", async () => {
    const backend = tensorflowBackend("a test");
    const { binding } = backend;
    model.prepare(2, 16);
    const cache = model.createCache(2, 16);
    model.forward([randomIds(4, 1), randomIds(4, 2)], cache).dispose();
    const calls = { executeOp: 0, runSavedModel: 0 };
    const counting: Pick<typeof binding, "executeOp" | "runSavedModel"> = {
      executeOp: (...call) => (calls.executeOp++, binding.executeOp(...call)),
      runSavedModel: (...call) => (calls.runSavedModel++, binding.runSavedModel(...call)),
    };
    backend.binding = Object.create(binding, Object.getOwnPropertyDescriptors(counting)) as typeof binding;
    try {
      model.forward([[1], [2]], cache).dispose();
    } finally {
      backend.binding = binding;
    }
    expect(calls).to.deep.equal({ executeOp: 0, runSavedModel: 1 });
    cache.dispose();
  });

  describe("shows a probe", () => {
    const tokens = [randomIds(9, 1), randomIds(9, 2)];
    const seenBy = (run: (probe: Probe) => tf.Tensor) => {
      const seen = new Map<string, { shape: number[]; values: Float32Array }>();
      const probe: Probe = (name, layer, tensor) =>
        seen.set(`${name} ${layer}`, { shape: tensor.shape, values: tensor.dataSync<"float32">().slice() });
      run(probe).dispose();
      return seen;
    };
    let eager: Llama;
    beforeEach(() => (eager = randomLlama()));
    afterEach(() => eager.dispose());

    it("the same as an eager model: the whole prefix, and a position after it", async () => {
      model.prepare(2, 20);
      const [recordedCache, eagerCache] = [model.createCache(2, 20), eager.createCache(2, 20)];
      const calls: [tokens: number[][], cached: boolean][] = [
        [tokens, false], // filled up to a recorded length
        [tokens.map((row) => row.slice(0, 8)), true],
        [tokens.map((row) => row.slice(8)), true],
      ];
      for (const [fed, cached] of calls) {
        const recorded = seenBy((probe) => model.forward(fed, cached ? recordedCache : undefined, probe));
        const expected = seenBy((probe) => eager.forward(fed, cached ? eagerCache : undefined, probe));
        expect([...recorded.keys()]).to.have.members([...expected.keys()]);
        for (const [name, { shape, values }] of expected) {
          expect(recorded.get(name)!.shape, name).to.deep.equal(shape);
          expectClose(recorded.get(name)!.values, values, ROUNDING, name);
        }
      }
      recordedCache.dispose();
      eagerCache.dispose();
    });

    it("the scores once, however many pieces a prompt is fed in", async () => {
      model.prepare(2, 20);
      const cache = model.createCache(2, 20);
      const seen: string[] = [];
      model.forward(tokens, cache, (name) => seen.push(name)).dispose(); // 8 + 1 positions
      expect(seen.filter((name) => name === "logits")).to.have.length(1);
      expect(seen.filter((name) => name === "embedding")).to.have.length(2);
      cache.dispose();
    });
  });

  it("has a cache for one generation at a time, and a recording for one size", async () => {
    const first = steps(model, [randomIds(3, 1)], GREEDY);
    await first.next();
    await expectRejection(ids([randomIds(3, 2)]), InputError, /one generation at a time/);
    await expectRejection(
      ids([randomIds(3, 2), randomIds(3, 3)]),
      InputError,
      /^the model is recorded for 1 rows of 32 positions and in use; 2 rows of 9 were asked for$/,
    );
    await first.return();
    expect((await ids([randomIds(3, 2)])).length).to.equal(6);
  });

  it("traces itself when it meets other sizes", () => {
    model.createCache(1, 8).dispose();
    const eager = randomLlama();
    const [ours, expected] = [model.forward([[1], [2]]), eager.forward([[1], [2]])];
    expectClose(ours.dataSync(), expected.dataSync(), ROUNDING);
    tf.dispose([ours, expected]);
    eager.dispose();
  });

  it("takes no cache that is not its own, or not in use any more", async () => {
    model.prepare(1, 8);
    const old = model.createCache(1, 8);
    old.dispose();
    const cache = model.createCache(1, 8);
    old.dispose(); // once more: the other one stays in use
    expect(() => model.createCache(1, 8)).to.throw(InputError, /one generation at a time/);
    expect(() => model.forward([[1]], old)).to.throw(
      InputError,
      /^the cache must be this model's and not disposed$/,
    );
    cache.dispose();
  });

  it("rejects a capacity beyond the context", () =>
    expect(() => model.prepare(1, 1000)).to.throw(
      InputError,
      /^the capacity must be within the model's context of 128, got 1000$/,
    ));

  it("serves one model beside another, and leaves TensorFlow as the backend", async () => {
    const other = new GraphLlama(randomLlama());
    for (const one of [model, other]) one.prepare(2, 8);
    expect(tf.getBackend()).to.equal("tensorflow");
    const prompt = [randomIds(3, 1), randomIds(3, 2)];
    expect((await ids(prompt)).length).to.equal(6);
    other.dispose();
  });

  it("is not traced for other sizes while its cache is in use", () => {
    model.prepare(1, 8);
    const cache = model.createCache(1, 8);
    model.forward([[1, 2, 3]], cache).dispose();
    expect(() => model.prepare(1, 100)).to.throw(
      InputError,
      /for 1 rows of 32 positions and in use; 1 rows of 100 were asked/,
    );
    const [after, whole] = [model.forward([[4]], cache), model.forward([[1, 2, 3, 4]])];
    expectClose(after.dataSync(), whole.dataSync(), ROUNDING, "logits");
    tf.dispose([after, whole]);
    cache.dispose();
  });

  it("fails as an eager one when the cache is full", async () => {
    model.prepare(1, 8);
    const cache = model.createCache(1, 4);
    model.forward([[1, 2, 3, 4]], cache).dispose();
    expect(() => model.forward([[5]], cache)).to.throw(
      RangeError,
      /^the KV cache's capacity must be at least 5 positions, got 4$/,
    );
    cache.dispose();
  });

  it("is not for other backends", async () => {
    await loadBackend("cpu");
    try {
      expect(() => new GraphLlama(randomLlama())).to.throw(InputError, /needs backend tensorflow, got cpu/);
    } finally {
      await loadBackend("tensorflow");
    }
  });

  describe("where its graph cannot be written", () => {
    let directory: string;
    const { TMPDIR } = process.env;
    const { writeFileSync } = fs;
    before(async () => (directory = await mkdtemp(join(tmpdir(), "no-room-"))));
    afterEach(() => {
      if (TMPDIR === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = TMPDIR;
      Object.assign(fs, { writeFileSync });
      syncBuiltinESMExports();
    });
    after(() => rm(directory, { recursive: true }));

    it("names the place for temporary files that is missing, and is recorded once there is one", async () => {
      process.env["TMPDIR"] = join(directory, "missing");
      const sentence =
        /^no temporary directory can be created in \S+missing \(ENOENT: no such file or directory\); free disk space/;
      expect(() => model.prepare(1, 8)).to.throw(InputError, sentence);
      process.env["TMPDIR"] = directory;
      model.prepare(1, 8);
    });

    it("names the place that is full, and leaves nothing there", async () => {
      process.env["TMPDIR"] = directory;
      const full = () => {
        throw new Error("ENOSPC: no space left on device, write");
      };
      Object.assign(fs, { writeFileSync: full });
      syncBuiltinESMExports();
      const sentence =
        /^the recorded graph cannot be written to \S+kv-cache-lecture-\w+: ENOSPC: .*; expected room for \d{5,} bytes$/;
      expect(() => model.prepare(1, 8)).to.throw(InputError, sentence);
      expect(await readdir(directory)).to.deep.equal([]);
    });
  });

  it("is caught where its cache goes wrong: a step writes over the last one's row", async () => {
    const { grow } = GraphCache.prototype;
    GraphCache.prototype.grow = function (T) {
      grow.call(this, T > 1 ? T : 0);
    };
    try {
      const { maxLogitDifference } = await compareModes(model, [randomIds(6, 1)], GREEDY);
      expect(maxLogitDifference).to.be.greaterThan(0.01);
    } finally {
      GraphCache.prototype.grow = grow;
    }
  });
});

describe("The recorder", () => {
  it("refuses an operation that it does not know, by its name", () =>
    expect(() => record(new Recorder(), () => void tf.cumsum(tf.tensor1d([1, 2])))).to.throw(
      InputError,
      /^operation Cumsum cannot be recorded/,
    ));

  for (const [what, run] of [
    ["gather along another axis", () => tf.gather(tf.zeros([2, 3]), tf.tensor1d([1], "int32"), 1)],
    ["a cast to int32", () => tf.cast(tf.zeros([2]), "int32")],
    ["a range of whole numbers", () => tf.range(0, 4, 1, "int32")],
  ] as const) {
    it(`refuses ${what}, which it would get wrong`, () =>
      expect(() => record(new Recorder(), () => void run())).to.throw(
        InputError,
        new RegExp(`^${what}.* cannot be recorded`),
      ));
  }

  it("refuses to tell values while it records", () =>
    expect(() => record(new Recorder(), () => void tf.add(1, 2).dataSync())).to.throw(
      InputError,
      /a value was asked for while a step is recorded/,
    ));

  it("gives the backend back, also after a failure", async () => {
    await loadBackend("cpu");
    record(new Recorder(), () => void tf.add(1, 2));
    expect(tf.getBackend()).to.equal("cpu");
    const failing = () => {
      throw new RangeError("stop");
    };
    expect(() => record(new Recorder(), failing)).to.throw(RangeError, "stop");
    expect(tf.add(1, 2).dataSync()[0]).to.equal(3);
  });
});
