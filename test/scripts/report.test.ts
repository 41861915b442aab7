import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { RESULTS } from "../../scripts/bench/report-blocks.js";
import { readResults } from "../../scripts/bench/results-file.js";
import type { CaseResults, Results } from "../../scripts/bench/results.js";
import type { Gpu } from "../../scripts/bench/gpu-tables.js";
import { BLOCK } from "../../scripts/bench/studies/report.js";
import { loadConfig } from "../../src/checkpoint/load.js";
import { InputError } from "../../src/index.js";
import { fixture } from "../support.js";
import { resultsValues } from "./results-values.js";

const page = readFileSync(fixture("../docs/results.md"), "utf8");
/** The README's section. */
const [, section] = /^## Measure it\n([\s\S]*?)^## /m.exec(readFileSync(fixture("../README.md"), "utf8"))!;
const files = readdirSync(RESULTS).filter((name) => name.endsWith(".json"));

/** The numbers of a text, without those in names, code, links and labels. */
function numbersIn(text: string): string[] {
  const prose = text
    .replaceAll(/`[^`]*`|\]\([^)]*\)|<[^>]*>/g, "")
    .replaceAll(/Llama 3\.2 1B|SmolLM2-135M|bfloat16|float32|batch\s+\d+|H\d00|TF32/g, "");
  return (prose.match(/(?<![\w.])\d[\d,]*(?:\.\d+)?/g) ?? []).map((number) => number.replaceAll(",", ""));
}

/** Fails unless the text's numbers are the values that the comment before each paragraph names, in this order. */
function expectValues(document: string, values: Readonly<Record<string, number>>): void {
  for (const paragraph of document.replaceAll(BLOCK, "").split(/\n\n+/)) {
    const names = /<!-- values: (.*?) -->/.exec(paragraph)?.[1]!.split(", ") ?? [];
    const numbers = numbersIn(paragraph);
    expect(numbers, paragraph).to.have.length(names.length);
    for (const [i, name] of names.entries()) {
      const decimals = numbers[i]!.split(".")[1]?.length ?? 0;
      expect(values[name]?.toFixed(decimals), `${name} in: ${paragraph}`).to.equal(numbers[i]);
    }
  }
}

describe("docs/results.md", () => {
  it("has only numbers in its text that follow from fixtures/results; so has the README's section", async () => {
    const values = resultsValues(await loadConfig(fixture("fairy-tales")));
    for (const text of [page, section!]) expectValues(text, values);
    const names = [...`${page}${section}`.matchAll(/<!-- values: (.*?) -->/g)].flatMap(([, list]) =>
      list!.split(", "),
    );
    expect(new Set(Object.keys(values)), "unused").to.deep.equal(new Set(names));
  });

  it("would not pass with a number that is wrong, unnamed, or named and missing", () => {
    const values = { "a.ratio": 1.249, "a.count": 3 };
    expectValues(
      "<!-- values: a.ratio, a.count -->\n1.2 times in 3 of `4` runs at batch 8 of Llama 3.2 1B.",
      values,
    );
    for (const wrong of ["1.3 times in 3", "1.2 times in 3 of 4", "1.2 times", "3 times in 1.2"]) {
      expect(() => expectValues(`<!-- values: a.ratio, a.count -->\n${wrong}`, values), wrong).to.throw();
    }
    expect(() => expectValues("1.2 times", values)).to.throw();
  });

  it("links to files that are there", () => {
    const linksIn = (text: string, directory: string) =>
      [...text.matchAll(/(?:\]\(|src=")(?!https?:)([^)"#]+)/g)].map(([, link]) => join(directory, link!));
    const links = [...linksIn(page, fixture("../docs")), ...linksIn(section!, fixture(".."))];
    expect(links).to.have.length.above(20);
    for (const path of links) expect(existsSync(path), path).to.equal(true);
  });
});

describe("README.md and the other pages of docs/", () => {
  // Figures that are not measured here: of a specification, of the source document, or computed in test/readme.test.ts.
  const CONSTANTS: Readonly<Record<string, readonly string[]>> = {
    "README.md": ["32 KiB", "256 MiB"],
    "docs/backends.md": ["4 GiB", "3.7 GB"],
    "docs/reading-guide.md": "1.46 s,2.02 s,8.14 s,4.15 s,28.29 s,52.30 s,30 times,29.5 times".split(","),
  };

  it("state no measured figure that is not generated from fixtures/results or compared with it", () => {
    const documents = readdirSync(fixture("../docs")).filter(
      (name) => name.endsWith(".md") && name !== "results.md",
    );
    for (const name of ["README.md", ...documents.map((one) => `docs/${one}`)]) {
      const text = readFileSync(fixture(`../${name}`), "utf8")
        .replaceAll(BLOCK, "")
        .replaceAll(/^```.*?^```/gms, "");
      const unchecked = text.split(/\n\n+/).filter((paragraph) => !paragraph.includes("<!-- values:"));
      const figures = unchecked
        .join("\n\n")
        .match(/\d[\d.,]*\s(?:[mµ]?s|[KMGT]i?B|%|tokens\/s|times)(?!\w)/g);
      expect(figures ?? [], name).to.deep.equal(CONSTANTS[name] ?? []);
    }
  });
});

describe("A results file", () => {
  it("has a header, and its cases agree with the cost model's promises", () => {
    for (const name of files) {
      const { study } = JSON.parse(readFileSync(RESULTS + name, "utf8")) as Results;
      const results = readResults<CaseResults | Gpu>(RESULTS + name, study as "cases" | "gpu");
      const benches = "benches" in results ? results.benches : study === "cases" ? [results] : [];
      for (const { memory, execution } of benches.flatMap(({ cases }) => cases)) {
        if (execution !== "eager") continue; // its tensors are not counted
        expect(memory.liveTensorPeak! / memory.predicted, name).to.be.within(0.9, 1.1);
      }
    }
    expect(files).to.have.length.above(5);
  });

  const bundled = () => JSON.parse(readFileSync(`${RESULTS}bundled-wasm.json`, "utf8")) as CaseResults;
  for (const [what, content, field] of [
    ["without a date", { ...bundled(), date: undefined }, "date"],
    ["with a date that is none", { ...bundled(), date: "yesterday" }, "date"],
    ["with a machine that lacks its CPU", { ...bundled(), machine: { node: "v20" } }, "machine.cpu"],
    ["without a backend", { ...bundled(), backends: [] }, "backends"],
    ["of another study", { ...bundled(), study: "leaks" }, "study"],
    ["that is a list", [bundled()], ""],
  ] as const) {
    it(`is rejected ${what}, in one sentence that names the field`, () => {
      const file = join(tmpdir(), `rejected-${process.pid}.json`);
      writeFileSync(file, JSON.stringify(content));
      try {
        const read = () => readResults<CaseResults>(file, "cases");
        expect(read).to.throw(InputError, /must be a results file of the study cases: [^\n]*$/);
        expect(read).to.throw(field);
      } finally {
        rmSync(file);
      }
    });
  }

  it("is rejected if it is not JSON", () => {
    expect(() => readResults<CaseResults>(fixture("README.md"), "cases")).to.throw(
      InputError,
      /cannot be read/,
    );
  });
});

describe("A plot", () => {
  it("is an SVG that follows the reader's light or dark theme, without scripts or other files", () => {
    for (const name of readdirSync(`${RESULTS}plots`)) {
      const svg = readFileSync(`${RESULTS}plots/${name}`, "utf8");
      expect(svg, name).to.match(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" [^>]*viewBox="[\d ]+"/);
      expect(svg, name).to.include("@media (prefers-color-scheme: dark)");
      expect(svg, name).not.to.match(/<script|href=|NaN|undefined/);
    }
  });
});
