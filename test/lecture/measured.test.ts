import { readFileSync } from "node:fs";
import { expect } from "chai";
import type { Case } from "../../scripts/bench/results.js";
import { TABLE_CASE } from "../../lecture/page/example-runs.js";
import { measuredIn, type ResultsFile } from "../../lecture/page/measured.js";
import { inspectDirectory } from "../../src/checkpoint/directory.js";
import { readTokenizer } from "../../src/checkpoint/read-tokenizer.js";
import { fixture } from "../support.js";

const read = (name: string) =>
  JSON.parse(readFileSync(fixture(`results/${name}.json`), "utf8")) as ResultsFile;

describe("Measured results on the page", () => {
  for (const name of ["bundled-wasm", "smollm2-135m-tensorflow-cpu", "h200-llama-3.2-1b"]) {
    it(`${name}: pairs cases that differ only in the use of the cache`, () => {
      const file = read(name);
      const cases: Case[] = ("benches" in file ? file.benches : [file]).flatMap((part) => part.cases);
      const groups = measuredIn(name, file);
      expect(groups.length).to.be.above(0);
      expect(new Set(groups.map(({ title, how }) => `${title}: ${how}`)).size).to.equal(groups.length);
      for (const { pairs, how } of groups) {
        expect(how).to.contain(file.date.slice(0, 10));
        expect(new Set(pairs.map(({ batch }) => batch)).size).to.equal(pairs.length);
        for (const { cached, uncached, batch, speedUp, byOperations } of pairs) {
          const find = (seconds: number, useCache: boolean) =>
            cases.find(
              (one) => one.seconds.median === seconds && one.useCache === useCache && one.batch === batch,
            );
          expect(find(cached, true)?.execution)
            .to.equal(find(uncached, false)?.execution)
            .and.not.equal(undefined);
          expect(speedUp / (uncached / cached)).to.be.within(0.5, 2); // a median of ratios is not the ratio of medians
          expect(byOperations).to.be.within(25, 35);
        }
      }
    });
  }

  it("groups cases by length and precision", () => {
    const file = read("bundled-wasm") as Extract<ResultsFile, { pairs: unknown }>;
    const variant = (input: number, execution: Case["execution"], slower: number) =>
      file.cases.map((one) => {
        const seconds = { ...one.seconds, median: slower * one.seconds.median };
        return { ...one, input, execution, seconds };
      });
    const variants = [variant(256, "graph", 1), variant(512, "graph", 10), variant(512, "graph+bf16", 100)];
    const groups = measuredIn("one", { ...file, cases: variants.flat() });
    expect(groups.map(({ how }) => how.split(";")[0])).to.deep.equal([
      "256 tokens in, 32 out, float32",
      "512 tokens in, 32 out, float32",
      "512 tokens in, 32 out, bfloat16 weights",
    ]);
    for (const [i, { title, pairs }] of groups.entries()) {
      expect(title).to.equal("one, graph");
      const alone = measuredIn("one", { ...file, pairs: [], cases: variants[i]! })[0]!.pairs;
      expect(pairs).to.deep.equal(alone);
    }
  });

  it("omits a case whose other mode was not measured", () => {
    const file = read("bundled-wasm") as Extract<ResultsFile, { pairs: unknown }>;
    const [first, ...cases] = file.cases;
    const [group] = measuredIn("one", { ...file, cases });
    expect(group!.pairs.map(({ batch }) => batch)).not.to.include(first!.batch);
    expect(measuredIn("none", { ...file, cases: cases.filter(({ useCache }) => useCache) })).to.deep.equal(
      [],
    );
  });

  it("the page's own case has the same input length", async () => {
    const { vocab_size } = JSON.parse(readFileSync(fixture("fairy-tales/config.json"), "utf8"));
    const tokenizer = await readTokenizer(await inspectDirectory(fixture("fairy-tales")), vocab_size, []);
    expect(tokenizer.encode(TABLE_CASE.prompts[0]!).length).to.equal(256);
  });
});
