import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { sampleToken, uniform } from "../../src/generation/sampling.js";
import { LONGEST_BLOCK } from "../../src/graph/decode-block.js";
import { samplingInGraph, samplingInputs } from "../../src/graph/sample-in-graph.js";
import { Session } from "../../src/graph/session.js";
import { trace } from "../../src/graph/trace.js";
import { Tracer } from "../../src/graph/tracer.js";
import { loadBackend } from "../../src/index.js";
import { backends } from "../support.js";

describe("Sampling in the graph", () => {
  before(async function () {
    if (!backends.includes("tensorflow")) return this.skip();
    await loadBackend("tensorflow");
  });

  it("draws the tokens of the loop's sampler from the same logits", () => {
    const [V, B] = [300, 16];
    const rows = Array.from({ length: B }, (_, i) => {
      const range = i < 8 ? 10 : 20; // in steps of 1/8 or 1/4, so that many are equal
      return Float32Array.from(Array(V).keys(), (id) => (Math.round(80 * uniform(1, i, id)) / 80) * range);
    });
    const tracer = new Tracer();
    tracer.graph.scope = "test";
    let output = "";
    trace(tracer, () => {
      const logits = tracer.input<tf.Rank.R2>("logits", [B, V], "float32");
      const step = tracer.input<tf.Rank.R1>("step", [1], "int32");
      output = tracer.nameOf(samplingInGraph(tracer, B, LONGEST_BLOCK)(logits, step));
    });
    const session = Session.open(tracer);
    const values = new Float32Array(rows.flatMap((row) => [...row]));
    let drawn = 0;
    for (const topP of [0.05, 0.5, 0.9, 1]) {
      for (const temperature of [0.2, 0.6, 3]) {
        for (const topK of [undefined, 40, 5000]) {
          const sampling = { temperature, topP, topK, seed: 2 ** 35 + 11 };
          const inputs = samplingInputs("test", sampling, { position: 7, steps: LONGEST_BLOCK, B, V });
          for (let step = 0; step < LONGEST_BLOCK; step += 3) {
            const result = session.run(
              {
                ...inputs,
                "test/logits": { values, shape: [B, V] },
                "test/step": { values: Int32Array.of(step), shape: [1] },
              },
              output,
            );
            const ids = [...result.dataSync()].filter((_, i) => i % 2 === 0);
            result.dispose();
            const expected = rows.map((row, i) => sampleToken(row, i, 7 + step, sampling));
            expect(ids, JSON.stringify({ ...sampling, step })).to.deep.equal(expected);
            drawn += B;
          }
        }
      }
    }
    expect(drawn).to.equal(3456);
    session.close();
  });
});
