import { readFileSync } from "node:fs";
import { expect } from "chai";
import * as fc from "fast-check";
import { Tiktoken } from "js-tiktoken/lite";
import { bytePairMerge } from "../../src/tokenizer/byte-pair-merge.js";

const BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));

/** Ours and js-tiktoken's merge of a whole text, which is one piece; the tokens hold one byte a character. */
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

/** A string of the letters a and b, where merges meet and tie. */
function ab(minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom("a", "b"), minLength, maxLength });
}

describe("bytePairMerge", () => {
  it("merges as js-tiktoken does, with the bundled ranks", () => {
    const file = readFileSync(new URL("../../fixtures/fairy-tales/tokenizer.model", import.meta.url), "utf8");
    const { ours, theirs } = mergers(file.split("\n", 1792).map((line) => atob(line.split(" ")[0]!)));
    const letters = fc.string({ unit: fc.constantFrom(..."theandris ."), minLength: 1, maxLength: 200 });
    const anything = fc.string({ unit: "binary", minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(fc.oneof(letters, anything), (text) => {
        expect(ours(text)).to.deep.equal(theirs(text));
      }),
    );
  });

  it("merges as js-tiktoken does, whatever the ranks: ties, tokens that no merge reaches, ranks in any order", () => {
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

  it("takes a piece that is a token whole, even where no merge leads to it", () => {
    const { ours } = mergers([...BYTES, "abc"]);
    expect(ours("abc")).to.deep.equal([256]);
    expect(ours("abcd")).to.deep.equal([97, 98, 99, 100]);
  });

  it("merges 100,000 equal bytes in less than two seconds", () => {
    const { ours } = mergers([...BYTES, "aa", "aaaa", "aaaaaaaa"]);
    const start = performance.now();
    expect(ours("a".repeat(100_000))).to.deep.equal(Array.from({ length: 12_500 }, () => 258));
    expect(performance.now() - start).to.be.below(2000);
  });
});
