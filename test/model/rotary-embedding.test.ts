import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { parseConfig } from "../../src/checkpoint/hugging-face-config.js";
import { rotaryFrequencies, RotaryEmbedding, rotate } from "../../src/model/rotary-embedding.js";
import { expectClose, fixture, onEveryBackend, randomIds, TINY } from "../support.js";

interface Golden {
  readonly config: Record<string, unknown>;
  readonly inverseFrequencies: number[];
}
const { rotary } = JSON.parse(readFileSync(fixture("goldens/goldens.json"), "utf8")) as {
  rotary: Record<string, Golden>;
};

/** Head dim and RoPE settings of Llama 3.2 1B, as published. */
const LLAMA_3_2 = {
  headDim: 64,
  rope: {
    theta: 500000,
    scaling: { factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalMaxSeqLen: 8192 },
  },
};

describe("rotaryFrequencies", () => {
  for (const [name, { config, inverseFrequencies }] of Object.entries(rotary)) {
    it(`agrees with transformers: ${name}`, () => {
      const base = JSON.parse(readFileSync(fixture("fairy-tales/config.json"), "utf8")) as object;
      const { headDim, rope } = parseConfig({ ...base, ...config }, name);
      const frequencies = rotaryFrequencies(headDim, rope);
      expect(frequencies.length).to.equal(inverseFrequencies.length);
      for (const [i, frequency] of frequencies.entries()) {
        expect(frequency / inverseFrequencies[i]!, `pair ${i}`).to.be.closeTo(1, 1e-6); // transformers computes them in float32
      }
    });
  }

  it("keeps Llama 3.2's highest frequency and divides the lowest by 32", () => {
    const { scaling, ...plain } = LLAMA_3_2.rope;
    const unscaled = rotaryFrequencies(64, plain);
    const ratios = rotaryFrequencies(64, { ...plain, scaling }).map((value, i) => unscaled[i]! / value);
    expect(ratios[0]).to.equal(1);
    expect(ratios.at(-1)).to.be.closeTo(32, 1e-9);
    expect(ratios).to.deep.equal(ratios.toSorted((a, b) => a - b));
  });
});

onEveryBackend("rotate", () => {
  const embedding = new RotaryEmbedding(LLAMA_3_2);
  const ones = () => tf.ones<tf.Rank.R3>([1, 1, 64]);

  for (const position of [0, 1, 8191, 8192, 100_000, 131_071]) {
    it(`rotates pairs (i, i + D/2) by ${position} times their frequency, to float32 precision`, () => {
      const rotated = tf.tidy(() => rotate(ones(), embedding.at(position, position + 1)).dataSync());
      const angles = rotaryFrequencies(64, LLAMA_3_2.rope).map((frequency) => frequency * position);
      const first = angles.map((angle) => Math.cos(angle) - Math.sin(angle));
      const second = angles.map((angle) => Math.cos(angle) + Math.sin(angle));
      expectClose(rotated, [...first, ...second], 3e-7);
    });
  }

  it("makes attention scores depend only on the distance between query and key", () => {
    const score = (queryPosition: number, keyPosition: number) =>
      tf.tidy(() => {
        const small = new RotaryEmbedding(TINY);
        const vector = (seed: number) =>
          tf.tensor3d(
            randomIds(8, seed).map((id) => id / 30 - 1),
            [1, 1, 8],
          );
        const query = rotate(vector(1), small.at(queryPosition, queryPosition + 1));
        const key = rotate(vector(2), small.at(keyPosition, keyPosition + 1));
        return tf.sum(tf.mul(query, key)).dataSync()[0]!;
      });
    expect(score(57, 50)).to.be.closeTo(score(7, 0), 1e-5);
    expect(score(57, 49)).not.to.be.closeTo(score(7, 0), 1e-3);
  });

  it("gives the same rotation whatever positions were requested before", () => {
    const last = (requested: [number, number][]) =>
      tf.tidy(() => {
        const tables = new RotaryEmbedding(TINY);
        return requested.map(([start, end]) => [...tables.at(start, end).cos.dataSync()]).at(-1);
      });
    expect(
      last([
        [0, 50],
        [3, 5],
        [7, 9],
      ]),
    ).to.deep.equal(last([[7, 9]]));
  });
});
