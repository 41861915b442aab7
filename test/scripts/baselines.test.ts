import { expect } from "chai";
import {
  acrossRounds,
  type AgainstCell,
  type AgainstResults,
  ratios,
} from "../../scripts/bench/baselines/cells.js";
import { othersSection } from "../../scripts/bench/report/others-section.js";
import { machineFacts } from "../../scripts/machine.js";
import { run } from "./run-command.js";

function cell(by: string, useCache: boolean, seconds: number, tokensSha256 = "a"): AgainstCell {
  const sizes = { batch: 1, input: 4, output: 2 };
  return { by, useCache, ...sizes, seconds, firstTokenMs: 1, stepMs: 2, samples: [seconds], tokensSha256 };
}

const rounds = [
  cell("this project", true, 3),
  cell("this project, recorded", true, 1),
  cell("transformers, eager", true, 2),
  cell("llama.cpp", true, 0.5, "b"),
  cell("this project", false, 6),
  cell("this project, recorded", false, 5),
  cell("transformers, eager", false, 4),
  cell("this project", true, 5),
  cell("this project", true, 4),
];

/** A file with these cells. */
async function resultsOf(cells: readonly AgainstCell[]): Promise<AgainstResults> {
  return {
    date: "2026-01-01T00:00:00Z",
    command: [],
    machine: await machineFacts(),
    commit: null,
    changed: null,
    backend: "wasm",
    torch: "2",
    transformers: "5",
    llamaCpp: "node-llama-cpp 3",
    threads: 2,
    model: "a model",
    cells,
  };
}

describe("npm run against", () => {
  it("prints how many times as long ours takes as another, of medians, and whose tokens are others, in 80 columns", () => {
    const lines = ratios(acrossRounds(rounds)).split("\n");
    expect(lines.filter((line) => line.length > 80)).to.deep.equal([]);
    expect(lines[2]).to.match(/with +ours +3 +4\.00 .* same$/);
    expect(lines[4]).to.match(/with transformers, eager +1 +2\.00 .* 2\.00 x +0\.50 x +same$/);
    expect(lines[5]).to.match(/with +llama.cpp +1 +0\.50 .* 8\.00 x +2\.00 x +OTHERS$/);
    expect(lines.at(-1)).to.match(/without transformers, eager .* 1\.50 x +1\.25 x +same$/);
  });

  it("says whose tokens were not the same in every round, and calls nobody the same as them", async () => {
    const cells = acrossRounds([
      cell("this project", true, 3),
      cell("transformers, eager", true, 2),
      cell("transformers, sdpa", true, 2),
      cell("this project", true, 3),
      cell("transformers, eager", true, 2, "b"),
      cell("transformers, sdpa", true, 2),
    ]);
    expect(cells.map(({ sameEachRound }) => sameEachRound)).to.deep.equal([true, false, true]);
    const lines = ratios(cells).split("\n");
    expect(lines[3]).to.match(/eager .* VARY$/);
    expect(lines[4]).to.match(/sdpa .* same$/);
    const text = othersSection("file.json", await resultsOf(cells)).replaceAll("\n", " ");
    expect(text).to.include("same as ours in 1 of 2 cells. **Not every round chose the same: transformers, eager with the cache at batch 1.**"); // prettier-ignore
    const oursVaries = acrossRounds([cell("this project", true, 3), cell("this project", true, 3, "b"), cell("llama.cpp", true, 2)]); // prettier-ignore
    expect(ratios(oursVaries))
      .to.match(/ours .* VARY$/m)
      .and.to.match(/llama\.cpp .* OTHERS$/m);
  });

  it("has its place in the README, where llama.cpp has no time without its cache", async () => {
    const text = othersSection("file.json", await resultsOf(acrossRounds(rounds)));
    expect(text.replaceAll("\n", " ")).to.match(/llama.cpp through node-llama-cpp 3, .* no other way/);
    expect(text).to.match(/^\| 1 \| without \|.*ours takes 1\.50, 1\.25 of that \| {2}\|$/m);
    expect(text).to.include("same as ours in 2 of 3 cells");
  });

  for (const [what, python, reason] of [
    ["is not there", "/no/such/python", "spawn /no/such/python ENOENT"],
    ["is no Python", process.execPath, 'exit code 1 ("Node.js v'],
  ] as const) {
    it(`refuses a Python that ${what}, before it installs anything`, async () => {
      const { code, stdout, stderr } = await run("against", ["--python", python]);
      expect(stderr).to.match(/^[^\n]*, expected a Python that has torch, transformers, gguf\n$/);
      expect(stderr).to.contain(`error: --python ${python} ended with ${reason}`);
      expect([code, stdout]).to.deep.equal([1, ""]);
    });
  }

  it("refuses rounds that are none, before it installs anything", async () => {
    const { code, stderr } = await run("against", ["--repeat", "0"]);
    expect(stderr).to.equal(
      "error: option '--repeat <n>' argument '0' is invalid. Expected a whole number from 1 to 1000000.\n",
    );
    expect(code).to.equal(1);
  });
});
