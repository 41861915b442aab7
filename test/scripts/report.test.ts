import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";
import { fixture } from "../support.js";
import { run } from "./run-command.js";
import { expectValid } from "./validate-bench.js";

describe("The README's results", () => {
  const readme = readFileSync(fixture("../README.md"), "utf8");

  it("and their plots are what fixtures/results says; `npm run report` writes them", async () => {
    expect(await run("report", ["--check"])).to.include({ code: 0, stderr: "" });
  });

  it("link to files that are there", () => {
    const links = [...readme.matchAll(/(?:\]\(|src=")((?:fixtures|scripts|src)\/[^)"]+)/g)].map(
      ([, path]) => path!,
    );
    expect(links).to.have.length.above(20);
    for (const path of links) expect(existsSync(fixture(`../${path}`)), path).to.equal(true);
  });

  it("come from files that are what their schema says, whose cells agree with the cost model's promises", () => {
    for (const name of readdirSync(fixture("results"))) {
      if (!name.endsWith(".json") || name.endsWith("schema.json")) continue;
      const document = JSON.parse(readFileSync(fixture(`results/${name}`), "utf8"));
      const benches = document.pairs ? [document] : (document.bench ?? []);
      for (const bench of benches) {
        expectValid(bench);
        for (const { memory, execution } of bench.cells) {
          if (execution !== "eager") continue; // its tensors are not counted
          expect(memory.liveTensorPeak / memory.predicted, name).to.be.within(0.9, 1.1);
          if (memory.cache) expect(memory.cache.measured, name).to.equal(memory.cache.predicted);
        }
      }
    }
  });
});

describe("A plot", () => {
  it("is an SVG that follows the reader's choice of light or dark, needs no script and no file", () => {
    for (const name of readdirSync(fixture("results/plots"))) {
      const svg = readFileSync(fixture(`results/plots/${name}`), "utf8");
      expect(svg, name).to.match(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" viewBox="[\d ]+"/);
      expect(svg, name).to.include("@media (prefers-color-scheme: dark)");
      expect(svg, name).not.to.match(/<script|href=|NaN|undefined/);
    }
  });
});
