import { readFileSync } from "node:fs";
import { expect } from "chai";
import * as fc from "fast-check";
import { Tiktoken } from "js-tiktoken/lite";
import { bytePairMerge, MinHeap } from "../../src/tokenizer/byte-pair-merge.js";
import { expectLinear } from "./count-lookups.js";

const BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));

/** Our merge and js-tiktoken's of a text as one pre-token; the tokens have one byte per character. */
function mergers(tokens: readonly string[]): {
  ours: (text: string) => number[];
  theirs: (text: string) => number[];
} {
  const ranks = new Map(tokens.map((token, rank) => [token, rank]));
  const base64 = tokens.map((token) => btoa(token)).join(" ");
  const tiktoken = new Tiktoken({ pat_str: "[^]+", special_tokens: {}, bpe_ranks: `! 0 ${base64}` });
  return {
    ours: (text) => bytePairMerge(Buffer.from(text).toString("latin1"), ranks),
    theirs: (text) => tiktoken.encode(text),
  };
}

/** A string of the characters a and b, in which merges overlap and tie. */
function ab(minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom("a", "b"), minLength, maxLength });
}

describe("bytePairMerge", () => {
  it("merges as js-tiktoken does, with the bundled ranks", () => {
    const file = readFileSync(new URL("../../fixtures/fairy-tales/tokenizer.model", import.meta.url), "utf8");
    const { ours, theirs } = mergers(file.split("\n", 1792).map((line) => atob(line.split(" ")[0]!)));
    const common = fc.string({ unit: fc.constantFrom(..."theandris ."), minLength: 1, maxLength: 200 });
    const anything = fc.string({ unit: "binary", minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(fc.oneof(common, anything), (text) => {
        expect(ours(text)).to.deep.equal(theirs(text));
      }),
    );
  });

  it("merges as js-tiktoken does, with any ranks: ties, tokens that no merge reaches, ranks in any order", () => {
    const tokens = fc
      .uniqueArray(ab(2, 7), { maxLength: 40 })
      .chain((merged) => fc.shuffledSubarray([...BYTES, ...merged], { minLength: 256 + merged.length }));
    fc.assert(
      fc.property(tokens, fc.array(ab(1, 60), { minLength: 1, maxLength: 10 }), (vocabulary, texts) => {
        const { ours, theirs } = mergers(vocabulary);
        for (const text of texts) expect(ours(text)).to.deep.equal(theirs(text));
      }),
    );
  });

  it("merges equal pairs from the left", () => {
    const { ours } = mergers([...BYTES, "aa"]);
    expect(ours("aaaaa")).to.deep.equal([256, 256, 97]);
  });

  it("keeps a pre-token that is a token, even if no merge leads to it", () => {
    const { ours } = mergers([...BYTES, "abc"]);
    expect(ours("abc")).to.deep.equal([256]);
    expect(ours("abcd")).to.deep.equal([97, 98, 99, 100]);
  });

  it("looks up pairs and compares ranks in proportion to the length", () => {
    const ranks = new Map([...BYTES, "aa", "aaaa", "aaaaaaaa"].map((token, rank) => [token, rank]));
    expect(bytePairMerge("a".repeat(16_000), ranks)).to.deep.equal(Array.from({ length: 2000 }, () => 258));
    expectLinear((length) => void bytePairMerge("a".repeat(length), ranks), 16_000);
  });
});

describe("MinHeap", () => {
  it("returns numbers in ascending order", () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), (numbers) => {
        const heap = new MinHeap();
        for (const number of numbers) heap.push(number);
        expect(numbers.map(() => heap.pop())).to.deep.equal(numbers.toSorted((a, b) => a - b));
        expect(heap.pop()).to.equal(undefined);
      }),
    );
  });

  it("needs less than 2.5 times the steps for twice the numbers", () => {
    const steps = (length: number): number => {
      let accesses = 0;
      const get = (target: number[], key: string): unknown => (accesses++, Reflect.get(target, key));
      const heap = new MinHeap(
        new Proxy<number[]>([], { get: get as ProxyHandler<number[]>["get"] & object }),
      );
      for (let n = 0; n < length; n++) heap.push((n * 7919) % length);
      for (let n = 0; n < length; n++) heap.pop();
      return accesses;
    };
    expect(steps(8000) / steps(4000)).to.be.below(2.5);
  });
});
