import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { readResults } from "../../scripts/bench/results-file.js";
import type { CaseResults } from "../../scripts/bench/results.js";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { backends, fixture, itOnPosix } from "../support.js";
import { run } from "./run-command.js";

describe("npm run bench", () => {
  const small = ["--batch", "1,2", "--input", "8", "--output", "3", "--repeat", "2"];
  let directory: string;
  before(async () => (directory = await mkdtemp(join(tmpdir(), "bench-test-"))));
  after(() => rm(directory, { recursive: true }));

  it("prints time and memory, what the cache saves, and that the tokens are identical", async () => {
    const { code, stdout, stderr } = await run("bench", small);
    const rows = stdout.matchAll(/^ +(\d) +(with|without) +(\d) +\d+\.\d\d +\d+ +\d+\.\d /gm);
    expect([...rows].map(([, batch, mode, runs]) => [batch, mode, runs])).to.deep.equal([
      ["1", "with", "2"],
      ["1", "without", "2"],
      ["2", "with", "2"],
      ["2", "without", "2"],
    ]);
    // 5 layers, 2 key/value heads; the second and the third step find 8 and 9 positions.
    expect(stdout).to.match(/^ +1 +170 +170 +.*identical$/m);
    expect(stdout).to.match(/^ +2 +340 +340 +.*identical$/m);
    expect(stdout).to.match(/^tokens identical: 2 of 2 pairs/m);
    expect(stdout.split("\n").filter((line) => line.length > 80)).to.deep.equal([]);
    expect([code, stderr]).to.deep.equal([0, ""]);
  });

  it("writes results with every sample, and plots", async () => {
    const file = join(directory, "bench.json");
    const random = ["--random-weights", "--config", "bundled"];
    const { code, stdout } = await run("bench", [
      ...small,
      ...random,
      "--json",
      file,
      "--plot",
      join(directory, "bench"),
    ]);
    expect(stdout).to.match(/^bundled, random weights, on /);
    const results = readResults<CaseResults>(file, "cases");
    expect(results.cases).to.have.length(4);
    for (const { seconds, stepMs, firstTokenMs, memory, interleaved } of results.cases) {
      expect(interleaved).to.equal(true); // on a CPU, with memory for all
      expect([seconds, stepMs, firstTokenMs].map(({ samples }) => samples.length)).to.deep.equal([2, 4, 2]);
      expect(memory.liveTensorPeak! / memory.predicted).to.be.within(0.9, 1.1);
      for (const [i, bytes] of memory.byStep.liveTensorPeak.entries())
        expect(bytes / memory.byStep.predicted[i]!).to.be.within(0.9, 1.1);
    }
    for (const { speedUp, maxLogitDifference, identical } of results.pairs) {
      expect(identical).to.equal(true);
      expect(speedUp.samples).to.have.length(2);
      expect(maxLogitDifference!).to.be.below(LOGIT_TOLERANCE);
    }
    expect(new Set(results.cases.map(({ batch, tokensSha256 }) => batch + tokensSha256)).size).to.equal(2);
    expect((await readdir(directory)).filter((name) => name.endsWith(".svg"))).to.have.length(3);
    expect(code).to.equal(0);
  });

  if (backends.includes("tensorflow")) {
    it("measures graph mode beside eager execution, with the same tokens", async () => {
      const ways = ["--backend", "tensorflow", "--device", "cpu", "--execution", "eager,graph"];
      const file = join(directory, "graph.json");
      const { code } = await run("bench", [...small, ...ways, "--json", file]);
      const { cases, pairs } = readResults<CaseResults>(file, "cases");
      expect(pairs.map(({ execution, identical }) => [execution, identical])).to.deep.equal([
        ["eager", true],
        ["graph", true],
        ["eager", true],
        ["graph", true],
      ]);
      expect(new Set(cases.map(({ batch, tokensSha256 }) => batch + tokensSha256)).size).to.equal(2);
      const counted = cases.filter(({ memory }) => memory.liveTensorPeak !== null);
      expect(counted.map(({ execution }) => execution)).to.deep.equal(["eager", "eager", "eager", "eager"]);
      expect(code).to.equal(0);
    });
  }

  it("measures one mode alone, and draws nothing then", async () => {
    const file = join(directory, "alone.json");
    const { code } = await run("bench", [
      ...small,
      "--mode",
      "cached",
      "--json",
      file,
      "--plot",
      join(directory, "alone"),
    ]);
    const { cases, pairs } = readResults<CaseResults>(file, "cases");
    expect([cases.map(({ useCache }) => useCache), pairs, code]).to.deep.equal([[true, true], [], 0]);
    expect((await readdir(directory)).filter((name) => name.startsWith("alone"))).to.deep.equal([
      "alone.json",
    ]);
  });

  it("says where the modes differ, and exits with 1, when the rotary offset is wrong", async () => {
    const bug = ["--import", new URL("plant-rotary-bug.ts", import.meta.url).href];
    const { code, stdout } = await run("bench", ["--batch", "1", "--input", "40", "--output", "12"], bug);
    expect(stdout).to.match(
      /^batch 1: modes differ: (?:sequence 0, position \d+: token \d+ \(logit margin [\d.e-]+\) with the cache|logits differ by)/m,
    );
    expect(stdout).to.match(/DIFFERENT$/m);
    expect(code).to.equal(1);
  });

  it("compares only the tokens where memory is short, and reports any other error of the comparison", async () => {
    const file = join(directory, "comparison.json");
    const plant = ["--import", new URL("plant-comparison-error.ts", import.meta.url).href];
    const { code, stdout } = await run("bench", [...small, "--json", file], plant);
    expect(stdout).to.match(/^batch 1, 8\+3 tokens, with failed: planted$/m);
    expect(stdout).to.match(/^tokens identical: 2 of 2 pairs; logits compared in 0$/m);
    const { pairs, failed } = readResults<CaseResults>(file, "cases");
    expect(pairs.map(({ maxLogitDifference }) => maxLogitDifference)).to.deep.equal([null, null]);
    expect(failed.map(({ batch, reason }) => [batch, reason])).to.deep.equal([[1, "planted"]]);
    expect(code).to.equal(1);
  });

  it("shows a case that fails with its reason, and measures the others", async () => {
    const sizes = [
      "--backend",
      "wasm",
      "--batch",
      "1000000,1", // of which the prompts alone would be gigabytes
      "--input",
      "900",
      "--output",
      "2",
      "--repeat",
      "1",
    ];
    const { code, stdout } = await run("bench", sizes);
    expect(stdout).to.match(
      /^batch 1000000, 900\+2 tokens, with failed: a batch of 1000000 .* must fit in \d.* GiB on backend wasm/m,
    );
    expect(stdout).to.match(/^batch 1000000, .* without failed: /m);
    expect(stdout).to.match(/^ +1 +without +1 +\d/m);
    expect(code).to.equal(1);
  });

  it("reports a model that can no longer be loaded as a failed case, and keeps what was measured before", async () => {
    const [checkpoint, file] = [join(directory, "checkpoint"), join(directory, "vanished.json")];
    await cp(fixture("fairy-tales"), checkpoint, { recursive: true });
    const args = [...small, "--backend", "wasm", "--checkpoint", checkpoint, "--json", file];
    const vanishing = ["--import", new URL("plant-vanishing-checkpoint.ts", import.meta.url).href];
    const { code, stdout } = await run("bench", args, vanishing);
    expect(stdout).to.match(/^batch 2, .* with failed: .*config\.json/m);
    const { cases, failed } = readResults<CaseResults>(file, "cases");
    expect(cases.map(({ batch }) => batch)).to.deep.equal([1, 1]);
    expect(failed.map(({ batch }) => batch)).to.deep.equal([2, 2]);
    expect(code).to.equal(1);
  });

  itOnPosix("has written what was measured when it is killed", async () => {
    const file = join(directory, "killed.json");
    const sizes = "--batch 1,16 --input 200 --output 40 --repeat 1".split(" ");
    const args = ["--backend", "wasm", ...sizes, "--json", file];
    const { code } = await run("bench", args, [], (_, child) => {
      const seen = setInterval(() => existsSync(file) && child.kill("SIGKILL"), 50);
      child.on("close", () => clearInterval(seen));
    });
    const results = readResults<CaseResults>(file, "cases");
    expect([results.interrupted, code]).to.deep.equal([true, null]);
    expect(results.cases.length).to.be.within(2, 3); // the third case may end before the signal arrives
  });

  itOnPosix("keeps what was measured when it is interrupted", async () => {
    const file = join(directory, "interrupted.json");
    const sizes = [
      "--backend",
      "wasm",
      "--batch",
      "1,16",
      "--input",
      "200",
      "--output",
      "40",
      "--repeat",
      "1",
    ];
    const { code, stderr } = await run("bench", [...sizes, "--json", file], [], (output, child) => {
      output.on(
        "data",
        (data: Buffer) => /^batch 1, .* without: /m.test(`${data}`) && !child.killed && child.kill("SIGINT"),
      );
    });
    const results = readResults<CaseResults>(file, "cases");
    expect([results.interrupted, results.pairs.length, code]).to.deep.equal([true, 1, 130]);
    expect(stderr).to.match(/interrupted/);
  });
});

describe("npm run bench -- --study", () => {
  const fails = async (args: readonly string[], sentence: string) => {
    expect(await run("bench", args)).to.deep.equal({ code: 1, stdout: "", stderr: `error: ${sentence}\n` });
  };

  it("has the study's options in its help, and no other's", async () => {
    const { stdout, code } = await run("bench", ["--study", "roofline", "--help"]);
    expect(stdout)
      .to.match(/--study roofline \[options\]/)
      .and.to.match(/--rounds <n>/);
    expect(stdout).not.to.match(/--repeat|--backends/);
    expect(code).to.equal(0);
  });

  it("rejects a study and an option that do not exist", async () => {
    const { stderr, code } = await run("bench", ["--study", "growth"]);
    expect(stderr).to.match(/^error: --study must be one of cases, .*, got "growth"/);
    expect(code).to.equal(1);
    await fails(["--study", "leaks", "--nothing-similar"], "unknown option '--nothing-similar'; see --help");
    await fails(["--rounds=4"], "unknown option '--rounds=4'; see --help"); // it is roofline's
  });
});
