import fs from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { cacheKind } from "../../src/cache/cache-kind.js";
import { Session } from "../../src/graph/session.js";
import { trace } from "../../src/graph/trace.js";
import { Tracer } from "../../src/graph/tracer.js";
import { compareModes, InputError, Llama, loadBackend, GraphLlama, steps } from "../../src/index.js";
import { NotFiniteError } from "../../src/util/errors.js";
import { randomWeights } from "../../src/model/random-weights.js";
import type { StepOptions } from "../../src/generation/options.js";
import { GraphCache } from "../../src/graph/graph-cache.js";
import { tensorflowBackend } from "../../src/backend/tensorflow-backend.js";
import { backends, expectClose, expectRejection, greedy, randomIds, randomLlama, TINY } from "../support.js";

const ROUNDING = 1e-4;
const GREEDY = greedy(6);

// generation/equality.test.ts and goldens.test.ts compare tokens, logits and activations with eager execution's and with
// transformers'. These tests cover what only graph mode has.
describe("A model in graph mode", function () {
  let model: GraphLlama;

  before(async function () {
    if (!backends.includes("tensorflow")) this.skip();
    await loadBackend("tensorflow");
  });
  beforeEach(() => (model = new GraphLlama(randomLlama())));
  afterEach(() => model.dispose());

  async function generate(prompts: number[][], options: Partial<StepOptions> = {}): Promise<number[][]> {
    const chosen: number[][] = [];
    for await (const { next } of steps(model, prompts, { ...GREEDY, ...options }))
      chosen.push(next.map(({ id }) => id));
    return chosen;
  }

  it("keeps its weights when it is traced again for other sizes", async () => {
    const prompt = randomIds(5, 1);
    const first = await generate([prompt]);
    const batch = await generate([prompt, randomIds(9, 2)]);
    expect(batch.length).to.be.greaterThan(first.length);
    await generate([randomIds(60, 3)], { maxGenLen: 40 });
    expect(await generate([prompt])).to.deep.equal(first);
  });

  it("keeps its KV cache when another call is traced in the middle of a generation", async () => {
    const prompt = randomIds(5, 1);
    const undisturbed = await generate([prompt]);
    const { binding } = tensorflowBackend("a test");
    const graphs = binding.getNumOfSavedModels();
    const chosen: number[][] = [];
    for await (const { next } of steps(model, [prompt], GREEDY)) {
      chosen.push(next.map(({ id }) => id));
      model.forward([prompt.slice(0, chosen.length)]).dispose(); // without the cache
    }
    expect(chosen).to.deep.equal(undisturbed);
    expect(binding.getNumOfSavedModels()).to.equal(graphs);
  });

  it("traces the calls of a generation only", async () => {
    model.dispose();
    model = new GraphLlama(randomLlama(), { device: "cpu" }); // no padded chunks
    const scopes = (): Set<string> => {
      const { calls, blocks } = model["graph"].loaded!;
      return new Set([...calls, ...blocks].map(({ scope }) => scope));
    };
    await generate([randomIds(5, 1)]);
    expect(scopes()).to.deep.equal(new Set(["cached.4", "cached.1", "block.greedy"]));
    await generate([randomIds(4, 1)], { temperature: 1 });
    expect(scopes()).to.deep.equal(new Set(["cached.4", "cached.1", "block.greedy", "block.sampled"]));
    await generate([randomIds(5, 1)], { useCache: false });
    expect(scopes().size).to.be.lessThan(8);
  });

  it("ignores what an earlier, longer generation left in the cache", async () => {
    const prompt = randomIds(3, 1);
    const first = await generate([prompt]);
    await generate([randomIds(20, 2)]);
    expect(await generate([prompt])).to.deep.equal(first);
  });

  it("reports logits that are not finite, and recovers in the next generation", async () => {
    const { embedding, ...weights } = randomWeights(TINY);
    const values = embedding
      .dataSync<"float32">()
      .slice()
      .fill(NaN, 5 * TINY.hiddenSize, 6 * TINY.hiddenSize); // of token 5
    embedding.dispose();
    const damagedEmbedding = tf.tensor2d(values, [TINY.vocabSize, TINY.hiddenSize]);
    const damaged = new GraphLlama(new Llama(TINY, { ...weights, embedding: damagedEmbedding }));
    const generateDamaged = async (prompt: number[]) => {
      const chosen: number[] = [];
      for await (const { next } of steps(damaged, [[1, 2, 3, 4, 6], prompt], GREEDY))
        chosen.push(...next.map(({ id }) => id));
      return chosen;
    };
    const healthy = [7, 8, 9, 10, 11];
    const before = await generateDamaged(healthy);
    await expectRejection(generateDamaged([7, 8, 9, 10, 5]), NotFiniteError, /in sequence 1 at position/);
    expect(await generateDamaged(healthy)).to.deep.equal(before);
    damaged.dispose();
  });

  it("frees all memory, in TensorFlow.js and in the native library", async () => {
    const { binding } = tensorflowBackend("a test");
    await generate([randomIds(5, 1)]);
    const before = {
      ...tf.memory(),
      handles: binding.getNumOfTensors(),
      graphs: binding.getNumOfSavedModels(),
    };
    await generate([randomIds(7, 2)]);
    await generate([randomIds(7, 2)], { useCache: false });
    await generate([randomIds(40, 3)], { maxGenLen: 30 }); // traced again
    expect(tf.memory()).to.include({ numTensors: before.numTensors, numBytes: before.numBytes });
    expect(binding.getNumOfTensors()).to.equal(before.handles);
    expect(binding.getNumOfSavedModels()).to.equal(before.graphs);
  });

  it("makes one call into TensorFlow per decode step", async () => {
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

  it("rejects a probe, as activations stay inside the graph", async () => {
    expect(() => model.forward([[1]], undefined, () => {})).to.throw(
      InputError,
      /eager execution, got graph mode$/,
    );
    await expectRejection(
      generate([[1]], { probe: () => {} }),
      InputError,
      /eager execution, got graph mode$/,
    );
  });

  it("gives the logits of an eager model for a prefix, a prompt in chunks and a decode step", () => {
    const tokens = [randomIds(9, 1), randomIds(9, 2)];
    const eager = randomLlama();
    const [graphCache, eagerCache] = [model.createCache(2, 20), eager.createCache(2, 20)];
    const calls: [tokens: number[][], cached: boolean][] = [
      [tokens, false], // padded to a traced length
      [tokens.map((ids) => ids.slice(0, 7)), true], // 4 + 2 + 1 positions
      [tokens.map((ids) => ids.slice(7, 8)), true],
      [tokens.map((ids) => ids.slice(8)), true],
    ];
    for (const [inputIds, cached] of calls) {
      const actual = model.forward(inputIds, cached ? graphCache : undefined);
      const expected = eager.forward(inputIds, cached ? eagerCache : undefined);
      expectClose(actual.dataSync(), expected.dataSync(), ROUNDING);
      tf.dispose([actual, expected]);
    }
    graphCache.dispose();
    eagerCache.dispose();
    eager.dispose();
  });

  for (const xla of [false, true]) {
    it(`takes the argmax of its logits inside the graph, ${xla ? "compiled" : "not compiled"}`, () => {
      const own = new GraphLlama(randomLlama(), { xla });
      const tokens = [randomIds(7, 1), randomIds(7, 2), randomIds(7, 3)]; // three chunks: 4, 2 and 1
      let cache = own.createCache(3, 8);
      const chosen = own.forwardGreedy(tokens, cache);
      cache.dispose();
      cache = own.createCache(3, 8);
      const logits = own.forward(tokens, cache);
      const expected = logits
        .arraySync()
        .flatMap((values) => [values.indexOf(Math.max(...values)), values.reduce((a, b) => a + b, 0)]);
      expectClose(chosen.dataSync(), expected, 1e-3, "argmax and sum");
      tf.dispose([chosen, logits]);
      cache.dispose();
      own.dispose();
    });
  }

  it("rejects a second generation while one runs", async () => {
    const first = steps(model, [randomIds(3, 1)], GREEDY);
    await first.next();
    await expectRejection(generate([randomIds(3, 2)]), InputError, /one generation at a time/);
    await expectRejection(
      generate([randomIds(3, 2), randomIds(3, 3)], { useCache: false }),
      InputError,
      /^the batch size must be 1, the capacity at most 32 and the cache plain while a KV cache is in use, got 2, 9 and plain: dispose the cache first$/,
    );
    await first.return();
    expect((await generate([randomIds(3, 2)])).length).to.equal(6);
  });

  it("prefills in chunks of at most the cache's prefillChunk, with the same tokens", async () => {
    const own = new GraphLlama(randomLlama({ ...TINY, slidingWindow: 9 }));
    for (const prefillChunk of [1, 5, 300]) {
      const options = { ...greedy(12), cacheKind: cacheKind({ cache: "plain", prefillChunk }) };
      const { difference, maxLogitDifference } = await compareModes(own, [randomIds(40, 1)], options);
      expect([difference, maxLogitDifference < 1e-4], `chunks of ${prefillChunk}`).to.deep.equal([
        undefined,
        true,
      ]);
    }
    own.dispose();
  });

  it("traces itself when it meets other sizes", () => {
    model.createCache(1, 8).dispose();
    const eager = randomLlama();
    const [ours, expected] = [model.forward([[1], [2]]), eager.forward([[1], [2]])];
    expectClose(ours.dataSync(), expected.dataSync(), ROUNDING);
    tf.dispose([ours, expected]);
    eager.dispose();
  });

  it("rejects a cache that is disposed", async () => {
    model.prepare(1, 8);
    const old = model.createCache(1, 8);
    old.dispose();
    const cache = model.createCache(1, 8);
    old.dispose(); // again: the other one stays in use
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

  it("coexists with another graph-mode model, and restores the backend", async () => {
    const other = new GraphLlama(randomLlama());
    for (const one of [model, other]) one.prepare(2, 8);
    expect(tf.getBackend()).to.equal("tensorflow");
    const prompt = [randomIds(3, 1), randomIds(3, 2)];
    expect((await generate(prompt)).length).to.equal(6);
    other.dispose();
  });

  it("rejects other sizes while its cache is in use", () => {
    model.prepare(1, 8);
    const cache = model.createCache(1, 8);
    model.forward([[1, 2, 3]], cache).dispose();
    expect(() => model.prepare(1, 100)).to.throw(
      InputError,
      /^the batch size must be 1, the capacity at most 32 and the cache plain while .*, got 1, 100 and plain: /,
    );
    const [after, whole] = [model.forward([[4]], cache), model.forward([[1, 2, 3, 4]])];
    expectClose(after.dataSync(), whole.dataSync(), ROUNDING, "logits");
    tf.dispose([after, whole]);
    cache.dispose();
  });

  it("throws the same error as an eager model when the cache is full", async () => {
    model.prepare(1, 8);
    const cache = model.createCache(1, 4);
    model.forward([[1, 2, 3, 4]], cache).dispose();
    expect(() => model.forward([[5]], cache)).to.throw(
      RangeError,
      /^the KV cache's capacity must be at least 5 positions, got 4$/,
    );
    cache.dispose();
  });

  it("rejects other backends", async () => {
    await loadBackend("cpu");
    try {
      expect(() => new GraphLlama(randomLlama())).to.throw(
        InputError,
        /must run on backend tensorflow, got cpu/,
      );
    } finally {
      await loadBackend("tensorflow");
    }
  });

  describe("when its graph cannot be written", () => {
    let directory: string;
    const { TMPDIR } = process.env;
    const { writeFileSync } = fs;
    before(async () => (directory = await mkdtemp(join(tmpdir(), "full-disk-"))));
    afterEach(() => {
      if (TMPDIR === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = TMPDIR;
      Object.assign(fs, { writeFileSync });
      syncBuiltinESMExports();
    });
    after(() => rm(directory, { recursive: true }));

    it("names a temporary directory that is missing, and can be traced once there is one", async () => {
      process.env["TMPDIR"] = join(directory, "missing");
      const sentence =
        /^no temporary directory can be created in \S+missing \(ENOENT: no such file or directory\); free disk space/;
      expect(() => model.prepare(1, 8)).to.throw(InputError, sentence);
      process.env["TMPDIR"] = directory;
      model.prepare(1, 8);
    });

    it("names a temporary directory that is full, and leaves no file there", async () => {
      process.env["TMPDIR"] = directory;
      const full = () => {
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), { errno: -28 });
      };
      Object.assign(fs, { writeFileSync: full });
      syncBuiltinESMExports();
      const sentence =
        /^\S+kv-cache-lecture-\w+.saved_model\.pb cannot be written: ENOSPC: no space left on device/;
      expect(() => model.prepare(1, 8)).to.throw(InputError, sentence);
      expect(await readdir(directory)).to.deep.equal([]);
    });
  });

  it("fails the comparison with a planted bug: each decode step overwrites the last position", async () => {
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

describe("The tracer", () => {
  it("rejects an operation without a kernel by name", () =>
    expect(() => trace(new Tracer(), () => void tf.cumsum(tf.tensor1d([1, 2])))).to.throw(
      InputError,
      /^operation Cumsum is not supported in graph mode: /,
    ));

  it("gives operations the results of the backend, in uses that the model does not have", async function () {
    if (!backends.includes("tensorflow")) this.skip();
    await loadBackend("tensorflow");
    const x = () => tf.reshape(tf.range(0, 24), [2, 3, 4]);
    const indices = () => tf.tensor2d([[1], [0]], [2, 1], "int32");
    const uses: Record<string, () => tf.Tensor> = {
      "gather along axis 1": () => tf.gather(x(), tf.tensor1d([2, 0], "int32"), 1),
      "gather along the last axis": () => tf.gather(x(), indices(), 2),
      "gather with a batch dimension": () => tf.gather(x(), indices(), 1, 1),
      "cast to int32 and back": () => tf.cast(tf.cast(tf.add(x(), 0.5), "int32"), "float32"),
      "int32 range": () => tf.cast(tf.range(8, 0, -3, "int32"), "float32"),
      "matMul that broadcasts batches": () => tf.matMul(x(), tf.reshape(tf.range(0, 4), [1, 4, 1])),
    };
    for (const [use, run] of Object.entries(uses)) {
      const tracer = new Tracer();
      tracer.graph.scope = "test";
      let [node, shape] = ["", [] as number[]];
      trace(tracer, () => {
        const result = run();
        [node, shape] = [tracer.nameOf(result), result.shape];
      });
      const session = Session.open(tracer);
      const [actual, expected] = [session.run({}, node), tf.tidy(run)];
      expect(shape, use).to.deep.equal(expected.shape);
      expect(actual.shape, use).to.deep.equal(expected.shape);
      expect([...actual.dataSync()], use).to.deep.equal([...expected.dataSync()]);
      tf.dispose([actual, expected]);
      session.close();
    }
  });

  it("rejects reading tensor values", () =>
    expect(() => trace(new Tracer(), () => void tf.add(1, 2).dataSync())).to.throw(
      InputError,
      /^tensor values must not be read while tracing/,
    ));

  it("restores the backend, also after a failure", async () => {
    await loadBackend("cpu");
    trace(new Tracer(), () => void tf.add(1, 2));
    expect(tf.getBackend()).to.equal("cpu");
    const failing = () => {
      throw new RangeError("stop");
    };
    expect(() => trace(new Tracer(), failing)).to.throw(RangeError, "stop");
    expect(tf.add(1, 2).dataSync()[0]).to.equal(3);
  });
});
