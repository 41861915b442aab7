import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { tensorflowBackend } from "../../src/backend/tensorflow-backend.js";
import { cacheKind } from "../../src/cache/cache-kind.js";
import { loadConfig, loadModel } from "../../src/checkpoint/load.js";
import { inputValues } from "../../src/graph/inputs.js";
import { JointMatrices } from "../../src/graph/joint-matrices.js";
import { Session } from "../../src/graph/session.js";
import { traceModel } from "../../src/graph/trace-model.js";
import { GraphLlama, type Llama, loadBackend, steps } from "../../src/index.js";
import { RotaryEmbedding } from "../../src/model/rotary-embedding.js";
import { backends, expectClose, fixture, greedy, randomIds, randomLlama } from "../support.js";

const ROUNDING = 1e-4;

describe("A graph made for a GPU", function () {
  before(async function () {
    if (!backends.includes("tensorflow")) this.skip();
    await loadBackend("tensorflow");
  });

  const forGpu = (model: Llama, xla = false) => new GraphLlama(model, { device: "cuda", xla });
  const logitsOf = (
    model: Pick<GraphLlama, "createCache" | "forward"> | Llama,
    tokens: number[][],
    split: number,
  ) => {
    const cache = model.createCache(tokens.length, tokens[0]!.length) as never;
    try {
      model
        .forward(
          tokens.map((ids) => ids.slice(0, split)),
          cache,
        )
        .dispose();
      const logits = model.forward(
        tokens.map((ids) => ids.slice(split)),
        cache,
      );
      const values = logits.dataSync<"float32">();
      logits.dispose();
      return values;
    } finally {
      (cache as { dispose(): void }).dispose();
    }
  };

  it("gives the logits of an eager model for prompts of all lengths, also where padding does not fit", () => {
    const [model, eager] = [forGpu(randomLlama()), randomLlama()];
    for (const length of [2, 3, 15, 16, 17, 31, 32, 33, 47, 63, 64]) {
      const tokens = [randomIds(length, 1), randomIds(length, 2)];
      for (const split of new Set([1, length >> 1, length - 1])) {
        expectClose(logitsOf(model, tokens, split), logitsOf(eager, tokens, split), ROUNDING);
      }
    }
    model.dispose();
    eager.dispose();
  });

  for (const xla of [false, true]) {
    it(`gives the steps of an eager model for a ragged batch, ${xla ? "compiled" : "not compiled"}`, async () => {
      const [model, eager] = [forGpu(randomLlama(), xla), randomLlama()];
      const prompts = [randomIds(21, 1), randomIds(5, 2), randomIds(30, 3)];
      const run = async (by: GraphLlama | Llama) => {
        const all: unknown[] = [];
        for await (const { next } of "steps" in by
          ? by.steps(prompts, greedy(40))
          : steps(by, prompts, greedy(40)))
          all.push(next);
        return all;
      };
      expect(await run(model)).to.deep.equal(await run(eager));
      model.dispose();
      eager.dispose();
    }).timeout(120_000);
  }

  for (const weightType of ["float32", "bfloat16"] as const) {
    it(`keeps its weights when it is traced again, and frees them (${weightType})`, async () => {
      const { binding } = tensorflowBackend("a test");
      const count = () => ({ native: binding.getNumOfTensors(), tensors: tf.memory().numTensors });
      const before = count();
      const directory = fixture("fairy-tales");
      const packed = await loadModel(await loadConfig(directory), directory, { forGraphMode: true });
      const model = new GraphLlama(packed, { device: "cuda", weightType });
      const tokens = [[1, 5, 9, 2, 7]];
      const first = logitsOf(model, tokens, 4);
      model.prepare(2, 40);
      expect(logitsOf(model, tokens, 4)).to.deep.equal(first);
      model.dispose();
      expect(count()).to.deep.equal(before);
    });
  }

  it("has the same weights and cache in a second graph that takes them part by part, freeing those of the first", async () => {
    const directory = fixture("fairy-tales");
    const config = await loadConfig(directory);
    const model = await loadModel(config, directory, { forGraphMode: true });
    const traced = () =>
      traceModel(
        model,
        { config, kind: cacheKind({ cache: "plain" }), B: 1, L: 8 },
        [{ T: 1, S: 8, useCache: true }],
        { weightType: "bfloat16", joint: true, compiled: () => false },
      );
    const logits = ({ calls: [call] }: ReturnType<typeof traced>, session: Session, position: number) => {
      const inputs = inputValues(call!, [[5 + position]], position, new RotaryEmbedding(config));
      const result = session.run(inputs, call!.outputs.logits);
      const values = result.dataSync<"float32">();
      result.dispose();
      return values;
    };
    const one = traced();
    let session = Session.open(one.tracer, { groupBytes: 1e6 });
    const expected = [0, 1, 2].map((position) => logits(one, session, position));
    for (const position of [1, 2]) {
      const other = traced();
      const previous = session;
      session = Session.open(other.tracer, { previous, moves: true, keepCache: true, groupBytes: 1e6 });
      expect(previous.isClosed).to.equal(true);
      expect(logits(other, session, position)).to.deep.equal(expected[position]);
    }
    session.close();
    model.dispose();
  });

  it("has one matmul for queries, keys and values, and one for gate and up", () => {
    const countOf = (model: GraphLlama) => {
      model.forward([[1]], model.createCache(1, 8)).dispose();
      const matmuls = model.operations().filter((operation) => operation === "MatMul").length;
      model.dispose();
      return matmuls;
    };
    const layers = randomLlama();
    const { nLayers } = layers.config;
    expect(countOf(forGpu(layers))).to.equal(4 * nLayers + 1);
    expect(countOf(new GraphLlama(randomLlama(), { device: "cpu" }))).to.equal(7 * nLayers + 1);
  });

  it("fails the comparison with a planted bug: keys come from the columns of the values", () => {
    const { product } = JointMatrices.prototype;
    const eager = randomLlama();
    const tokens = [randomIds(9, 1)];
    const expected = logitsOf(eager, tokens, 4);
    eager.dispose();
    const model = forGpu(randomLlama());
    try {
      JointMatrices.prototype.product = function (graph, x, matrix, multiply) {
        const list = this.beside(matrix);
        const swapped = list?.length === 3 && matrix === list[1] ? list[2]! : matrix;
        return product.call(this, graph, x, swapped, multiply);
      };
      expect(() => expectClose(logitsOf(model, tokens, 4), expected, ROUNDING)).to.throw();
    } finally {
      JointMatrices.prototype.product = product;
      model.dispose();
    }
  });
});
