import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { sampleToken, uniform } from "../../src/generation/sampling.js";
import { LONGEST_BLOCK } from "../../src/graph/decode-block.js";
import { addCompiled } from "../../src/graph/graph-function.js";
import { samplingInGraph, samplingInputs, SORTED } from "../../src/graph/sample-in-graph.js";
import { Session } from "../../src/graph/session.js";
import { trace } from "../../src/graph/trace.js";
import { Tracer } from "../../src/graph/tracer.js";
import { loadBackend } from "../../src/index.js";
import { backends } from "../support.js";

const B = 8;
const SEED = 2 ** 35 + 11;

/** Logits of B sequences; half of them have many equal ones. */
function logitsOf(V: number): Float32Array[] {
  return Array.from({ length: B }, (_, i) => {
    const range = i % 4 < 2 ? 10 : 40;
    const levels = i % 2 === 0 ? 80 : 1e5;
    return Float32Array.from(
      Array(V).keys(),
      (id) => (Math.round(levels * uniform(1, i, id)) / levels) * range,
    );
  });
}

describe("Sampling in the graph", () => {
  before(async function () {
    if (!backends.includes("tensorflow")) return this.skip();
    await loadBackend("tensorflow");
  });

  for (const V of [300, 4 * SORTED]) {
    for (const compiled of [false, true]) {
      it(`draws the loop's tokens from the same ${V} logits${compiled ? ", compiled by XLA" : ""}`, () => {
        const tracer = new Tracer();
        tracer.graph.scope = "test";
        let output = "";
        trace(tracer, () => {
          const logits = tracer.input<tf.Rank.R2>("logits", [B, V], "float32");
          const step = tracer.input<tf.Rank.R1>("step", [1], "int32");
          output = tracer.nameOf(samplingInGraph(tracer, B, LONGEST_BLOCK)(logits, step));
          if (compiled) [output] = addCompiled(tracer.graph, "test/compiled", [output]) as [string];
        });
        const session = Session.open(tracer);
        const logits = logitsOf(V);
        const values = new Float32Array(logits.flatMap((row) => [...row]));
        for (const topP of [0.05, 0.9, 1]) {
          for (const temperature of [0.2, 0.6, 3]) {
            for (const topK of [undefined, 40, 5000, 2 * SORTED]) {
              const sampling = { temperature, topP, topK, seed: SEED };
              const inputs = samplingInputs("test", sampling, { position: 7, steps: LONGEST_BLOCK, B, V });
              for (const step of [0, 3, 15]) {
                const given = {
                  ...inputs,
                  "test/logits": { values, shape: [B, V] },
                  "test/step": { values: Int32Array.of(step), shape: [1] },
                };
                const result = session.run(given, output);
                const ids = [...result.dataSync()].filter((_, i) => i % 2 === 0);
                result.dispose();
                const expected = logits.map((row, i) => sampleToken(row, i, 7 + step, sampling));
                expect(ids, JSON.stringify({ ...sampling, step })).to.deep.equal(expected);
              }
            }
          }
        }
        session.close();
      });
    }
  }
});
