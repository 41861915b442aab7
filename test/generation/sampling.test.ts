import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { argMax, sampleTopP, uniform } from "../../src/generation/sampling.js";
import { fixture } from "../support.js";

const anyLogits = fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 50 });
const anyDraw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/**
 * Straightforward reference: sorts all tokens and keeps each while the mass before it is at most topP. Returns the
 * probability of every token that is kept.
 */
function nucleusOf(logits: number[], temperature: number, topP: number): Map<number, number> {
  const weights = logits.map((logit) => Math.exp((logit - Math.max(...logits)) / temperature));
  const total = weights.reduce((a, b) => a + b);
  const order = [...logits.keys()].toSorted((a, b) => weights[b]! - weights[a]! || a - b);
  let mass = 0;
  const kept = order.filter((id) => {
    const keep = mass <= topP * total;
    mass += weights[id]!;
    return keep;
  });
  const keptMass = kept.reduce((sum, id) => sum + weights[id]!, 0);
  return new Map(kept.map((id) => [id, weights[id]! / keptMass]));
}

describe("sampleTopP", () => {
  it("draws only from the nucleus", () => {
    fc.assert(
      fc.property(anyLogits, anyDraw, fc.double({ min: 0.01, max: 1, noNaN: true }), (logits, draw, topP) => {
        const nucleus = nucleusOf(logits.map(Math.fround), 0.8, topP);
        expect([...nucleus.keys()]).to.include(sampleTopP(Float32Array.from(logits), 0.8, topP, draw));
      }),
    );
  });

  it("draws each token of the nucleus with its probability", () => {
    const logits = [2, 1, 0.5, -1, 1.5, -3];
    const expected = nucleusOf(logits, 0.7, 0.9);
    const counts = new Map<number, number>();
    const draws = 20_000; // evenly spaced, so each count is exact to within one
    for (let i = 0; i < draws; i++) {
      const id = sampleTopP(Float32Array.from(logits), 0.7, 0.9, (i + 0.5) / draws);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect([...counts.keys()].toSorted()).to.deep.equal([...expected.keys()].toSorted());
    for (const [id, probability] of expected)
      expect(counts.get(id)! / draws).to.be.closeTo(probability, 2 / draws);
  });

  // Made by fixtures/make_config_goldens.py.
  const golden = JSON.parse(readFileSync(fixture("goldens/generation.json"), "utf8"));
  for (const { temperature, topP, topK, probabilities } of golden.sampling) {
    it(`draws each token with its probability in transformers: temperature ${temperature}, top-p ${topP}, top-k ${topK}`, () => {
      const draws = 4_000;
      const counts = new Map<number, number>();
      for (let i = 0; i < draws; i++) {
        const logits = Float32Array.from(golden.logits as number[]);
        const id = sampleTopP(logits, temperature, topP, (i + 0.5) / draws, topK || undefined);
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
      for (const [id, probability] of (probabilities as number[]).entries())
        expect((counts.get(id) ?? 0) / draws, `token ${id}`).to.be.closeTo(probability, 2 / draws);
    });
  }

  it("chooses the most likely token when topP is tiny", () => {
    expect(sampleTopP(Float32Array.of(1, 3, 2), 1, 1e-9, 0.999)).to.equal(1);
  });

  it("chooses the most likely token when the temperature is tiny", () => {
    expect(sampleTopP(Float32Array.of(1, 3, 2.9), 1e-6, 1, 0.999)).to.equal(1);
  });

  it("does not overflow with huge logits", () => {
    expect(sampleTopP(Float32Array.of(-3e38, 3e38, 0), 0.1, 0.9, 0.5)).to.equal(1);
  });
});

describe("argMax", () => {
  it("returns the first of equal logits", () => {
    expect(argMax(Float32Array.of(1, 5, 5, 2))).to.equal(1);
  });
});

describe("uniform", () => {
  it("depends on seed, sequence and position", () => {
    const drawn = [
      uniform(1, 2, 3),
      uniform(2, 2, 3),
      uniform(1, 3, 3),
      uniform(1, 2, 4),
      uniform(1, 3, 2),
      uniform(1 + 2 ** 32, 2, 3),
    ];
    expect(new Set(drawn).size).to.equal(drawn.length);
    expect(uniform(1, 2, 3)).to.equal(drawn[0]);
  });

  for (const [title, of] of [
    ["positions", (i: number) => uniform(0, 0, i)],
    ["sequences", (i: number) => uniform(0, i, 7)],
    ["seeds", (i: number) => uniform(i, 0, 7)],
  ] as const) {
    it(`is uniform over ${title} (chi-squared, 64 bins)`, () => {
      const bins = Array.from({ length: 64 }, () => 0);
      for (let i = 0; i < 64_000; i++) bins[Math.floor(of(i) * 64)]!++;
      const chiSquared = bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
      expect(chiSquared).to.be.within(26, 122); // 63 degrees of freedom: outside with probability 1e-5 each way
    });
  }

  it("is uncorrelated between adjacent positions", () => {
    let [product, n] = [0, 20_000];
    for (let i = 0; i < n; i++) product += (uniform(3, 1, i) - 0.5) * (uniform(3, 1, i + 1) - 0.5);
    expect(Math.abs((product / n) * 12)).to.be.below(0.03); // correlation; 4 standard deviations
  });
});
