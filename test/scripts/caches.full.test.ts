import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { run } from "./run-command.js";

const wasm = ["--backend", "wasm"];

describe("npm run compare -- --cache", () => {
  for (const [args, code, words] of [
    ["paged --block-size 16", 0, /paged, blocks of 16, EXACT: identical[^]*difference: 0,/],
    ["sliding --window 2048", 0, /EXACT: identical[^]*difference: 0,/],
    [
      "quantized --bits 8",
      0,
      /LOSSY: within its bound[^]*KL divergence: 0\.00\d+ nats per token, bound 0\.002/,
    ],
    ["quantized --bits 4", 0, /keys per channel, LOSSY: within its bound/],
    ["quantized --bits 4 --keys token", 1, /keys per token, LOSSY: beyond its bound/],
    ["sliding --window 16", 1, /sliding window of 16, LOSSY: beyond its bound/],
  ] as const) {
    it(`ends with ${code}: ${args}`, async () => {
      const result = await run("compare", [...wasm, "--cache", ...args.split(" ")]);
      expect([result.code, result.stderr]).to.deep.equal([code, ""]);
      expect(result.stdout).to.match(words);
    });
  }

  it("compares with and without the cache for a prompt in chunks", async () => {
    const { code, stdout } = await run("compare", [...wasm, "--prefill-chunk", "3"]);
    expect(code).to.equal(0);
    expect(stdout).to.match(/^identical: 256 tokens/m);
  });
});

describe("An option of another cache", () => {
  for (const [command, args, message] of [
    ["compare", "--cache paged --window 8", "--window must be used with --cache sliding, got --cache paged"],
    ["generate", "--block-size 8", "--block-size must be used with --cache paged, got --cache plain"],
    ["chat", "--bits 4", "--bits must be used with --cache quantized, got --cache plain"],
    [
      "trace",
      "--cache quantized --sinks 1",
      "--sinks must be used with --cache sliding, got --cache quantized",
    ],
    [
      "bench",
      "--cache paged,plain --keys token",
      "--keys must be used with --cache quantized, got --cache paged,plain",
    ],
    ["generate", "--cache paged --no-kv-cache", "--cache must be plain with --no-kv-cache, got paged"],
  ] as const) {
    it(`is rejected: ${command} ${args}`, async () => {
      const { code, stderr } = await run(command, [...wasm, ...args.split(" ")]);
      expect([code, stderr]).to.deep.equal([1, `error: ${message}\n`]);
    });
  }
});

describe("npm run generate", () => {
  let directory: string;
  before(async () => (directory = await mkdtemp(join(tmpdir(), "caches-"))));
  after(() => rm(directory, { recursive: true }));
  const greedy = [...wasm, "--temperature", "0", "--json"];
  const result = async (...args: string[]) => {
    const { code, stdout, stderr } = await run("generate", [...greedy, ...args]);
    expect([code, stderr]).to.deep.equal([0, ""]);
    return JSON.parse(stdout);
  };

  it("gives the same tokens with a draft, in fewer calls", async () => {
    const { results } = await result();
    for (const draft of [["4"], ["lookup"], []]) {
      const { tokens, calls } = await result("--draft", ...draft);
      expect(tokens).to.deep.equal(results[0].tokens);
      expect(calls).to.be.below(tokens.length);
    }
  });

  it("gives the same texts when prompts share a prefix", async () => {
    const system = join(directory, "system.txt");
    await writeFile(system, "Once upon a time there was a king who had three sons. ");
    const args = ["--system", system, "--prompt", "The eldest", "--prompt", "The youngest said"];
    const [plain, paged] = [await result(...args), await result(...args, "--cache", "paged")];
    expect(paged.results).to.deep.equal(plain.results);
  });

  it("generates beyond the context with a sliding window", async () => {
    const args = [...wasm, "--cache", "sliding", "--window", "64", "--max-gen-len", "1100", "--json"];
    const { code, stdout } = await run("generate", args);
    expect(code).to.equal(0);
    expect(JSON.parse(stdout).results[0].tokens.length).to.be.above(100);
  });

  it("starts from a saved cache, and rejects a damaged one", async () => {
    const file = join(directory, "cache.bin");
    const args = ["--cache-file", file, "--prompt", "Once upon a time there was a king"];
    const [first, second] = [await result(...args), await result(...args)];
    expect(second.results).to.deep.equal(first.results);
    const shown = await run("generate", [...wasm, ...args]);
    expect(shown.stderr).to.match(/\d+ positions restored from/);
    await writeFile(file, (await readFile(file)).subarray(0, 1000));
    const damaged = await run("generate", [...wasm, ...args]);
    expect(damaged.code).to.equal(1);
    expect(damaged.stderr).to.match(/^error: .*cache\.bin/);
  });
});

describe("npm run bench", () => {
  it("compares caches, and continuous batching with the loop", async () => {
    const directory = await mkdtemp(join(tmpdir(), "caches-"));
    const file = join(directory, "out.json");
    const caches = [
      "--cache",
      "plain,paged,sliding,quantized",
      "--repeat",
      "1",
      "--output",
      "24",
      "--json",
      file,
    ];
    const { code } = await run("bench", [...wasm, ...caches]);
    expect(code).to.equal(0);
    const { study, cases } = JSON.parse(await readFile(file, "utf8"));
    expect(study).to.equal("caches");
    for (const { bytes, asPromised } of cases)
      expect([asPromised, bytes.measured]).to.deep.equal([true, bytes.predicted]);
    const continuous = await run("bench", [...wasm, "--study", "continuous", "--json", file]);
    expect(continuous.code).to.equal(0);
    const results = JSON.parse(await readFile(file, "utf8"));
    expect(results.identical).to.equal(true);
    expect(results.continuous.positions).to.equal(results.needed);
    expect(results.continuous.calls).to.be.below(results.loop.calls);
    await rm(directory, { recursive: true });
  });
});
