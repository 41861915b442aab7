import { expect } from "chai";
import { acrossRounds, ratioTable, type RoundCase } from "../../scripts/bench/baselines/compare.js";
import { alignedTable } from "../../scripts/bench/table.js";
import { run } from "./run-command.js";

function oneCase(by: string, useCache: boolean, seconds: number, tokensSha256 = "a"): RoundCase {
  const sizes = { batch: 1, input: 4, output: 2 };
  return { by, useCache, ...sizes, seconds, firstTokenMs: 1, stepMs: 2, samples: [seconds], tokensSha256 };
}

const rounds = [
  oneCase("this project", true, 3),
  oneCase("this project, graph", true, 1),
  oneCase("transformers, eager", true, 2),
  oneCase("llama.cpp", true, 0.5, "b"),
  oneCase("this project", false, 6),
  oneCase("this project, graph", false, 5),
  oneCase("transformers, eager", false, 4),
  oneCase("this project", true, 5),
  oneCase("this project", true, 4),
];

const linesOf = (cases: readonly RoundCase[]) => alignedTable(ratioTable(acrossRounds(cases))).split("\n");

describe("npm run bench -- --study baselines", () => {
  it("shows our time relative to another's, of medians, and whose tokens differ, in 80 columns", () => {
    const lines = linesOf(rounds);
    expect(lines.filter((line) => line.length > 80)).to.deep.equal([]);
    expect(lines[2]).to.match(/with +ours +3 +4\.00 .* same$/);
    expect(lines[4]).to.match(/with transformers, eager +1 +2\.00 .* 2\.00x +0\.50x +same$/);
    expect(lines[5]).to.match(/with +llama.cpp +1 +0\.50 .* 8\.00x +2\.00x +OTHERS$/);
    expect(lines.at(-1)).to.match(/without transformers, eager .* 1\.50x +1\.25x +same$/);
  });

  it("compares cases of the same batch size only", () => {
    const cases = acrossRounds(rounds.slice(0, 3)).flatMap((one) => [
      one,
      { ...one, batch: 8, seconds: 10 * one.seconds, tokensSha256: "c" },
    ]);
    const { head, rows } = ratioTable(cases);
    const at = head.indexOf("ratio eager");
    expect(rows.map((row) => [row[0], row[at], row.at(-1)])).to.deep.equal([
      ["1", "", "same"],
      ["1", "", "same"],
      ["1", "1.50x", "same"],
      ["8", "", "same"],
      ["8", "", "same"],
      ["8", "1.50x", "same"],
    ]);
  });

  it("shows whose tokens were not the same in every round, and calls no other the same as them", () => {
    const cases = acrossRounds([
      oneCase("this project", true, 3),
      oneCase("transformers, eager", true, 2),
      oneCase("transformers, sdpa", true, 2),
      oneCase("this project", true, 3),
      oneCase("transformers, eager", true, 2, "b"),
      oneCase("transformers, sdpa", true, 2),
    ]);
    expect(cases.map(({ sameEachRound }) => sameEachRound)).to.deep.equal([true, false, true]);
    expect(ratioTable(cases).rows.map((row) => row.at(-1))).to.deep.equal(["same", "VARY", "same"]);
    const oursVaries = [
      oneCase("this project", true, 3),
      oneCase("this project", true, 3, "b"),
      oneCase("llama.cpp", true, 2),
    ];
    expect(ratioTable(acrossRounds(oursVaries)).rows.map((row) => row.at(-1))).to.deep.equal([
      "VARY",
      "OTHERS",
    ]);
  });

  for (const [what, python, reason] of [
    ["does not exist", "/no/such/python", "spawn /no/such/python ENOENT"],
    ["is another program", process.execPath, 'exit code 1 ("Node.js v'],
  ] as const) {
    it(`rejects a Python that ${what}`, async () => {
      const { code, stdout, stderr } = await run("bench", ["--study", "baselines", "--python", python]);
      expect(stderr).to.match(
        /^error: --python must be a Python that has torch==[\d.]+ transformers==[^\n]*\n$/,
      );
      expect(stderr).to.contain(`, but ${python} ended with ${reason}`);
      expect([code, stdout]).to.deep.equal([1, ""]);
    });
  }

  it("rejects Windows, which has no TensorFlow backend, before it looks for Python", async () => {
    const windows = "Object.defineProperty(process, 'platform', { value: 'win32' })";
    const { code, stdout, stderr } = await run(
      "bench",
      ["--study", "baselines", "--python", "/no/such/python"],
      ["--import", `data:text/javascript,${encodeURIComponent(windows)}`],
    );
    expect(stderr).to.match(/^error: --study baselines must have the tensorflow backend, but the platform /);
    expect(stderr).to.match(/, got win32 on x64: use WSL2, or --backend wasm\n$/);
    expect([code, stdout]).to.deep.equal([1, ""]);
  });

  it("needs the packages of the programs that it measures, and no others", async () => {
    const options = "--study baselines --programs llama.cpp --python /no/such/python".split(" ");
    const { stderr } = await run("bench", options);
    expect(stderr).to.match(
      /^error: --python must be a Python that has gguf==[\d.]+ xllamacpp==[\d.]+, but /,
    );
  });

  it("rejects a number of rounds below 1", async () => {
    const { code, stderr } = await run("bench", ["--study", "baselines", "--repeat", "0"]);
    expect(stderr).to.equal('error: --repeat must be a whole number from 1 to 1000000, got "0"\n');
    expect(code).to.equal(1);
  });
});
