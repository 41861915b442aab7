import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { readResults } from "../../scripts/bench/results-file.js";
import type { Gpu } from "../../scripts/bench/gpu-tables.js";
import { findDriver } from "../../src/backend/nvidia.js";
import { backends, itOnPosix } from "../support.js";
import { run } from "./run-command.js";

describe("npm run bench -- --study gpu", function () {
  this.timeout(600_000);
  const quick = [
    "--study",
    "gpu",
    "--device",
    "cpu",
    "--config",
    "bundled",
    "--execution",
    "eager",
    "--mode",
    "cached",
    "--repeat",
    "1",
  ];
  let directory: string;
  before(async () => (directory = await mkdtemp(join(tmpdir(), "gpu-test-"))));
  after(() => rm(directory, { recursive: true }));

  if (backends.includes("tensorflow")) {
    it("reports why a case failed, and measures the others", async () => {
      const file = join(directory, "gpu.json");
      const sizes = ["--batch", "100000,1", "--input", "200", "--output", "2"];
      const { code } = await run("bench", [...quick, ...sizes, "--json", file]);
      const { benches } = readResults<Gpu>(file, "gpu");
      const [bench] = benches;
      expect([benches.length, bench!.cases.map(({ batch }) => batch)]).to.deep.equal([1, [1]]);
      expect(bench!.failed.map(({ batch }) => batch)).to.deep.equal([100_000]);
      expect(bench!.failed[0]!.reason).to.match(/^a batch of 100000 .* must fit in \d.* GiB/);
      expect(code).to.equal(1);
    });

    it("measures the host time of a decode step for each execution", async () => {
      const file = join(directory, "host-time.json");
      const sizes = ["--batch", "1,2", "--input", "8", "--output", "2"];
      const args = [...quick, ...sizes, "--json", file];
      const { code } = await run("bench", args);
      const { hostTime, benches } = readResults<Gpu>(file, "gpu");
      expect(hostTime.map(({ batch, past, execution }) => [batch, past, execution])).to.deep.equal([
        [1, 8, "eager"], // for the first batch size only
      ]);
      expect(benches.flatMap(({ cases }) => cases.map(({ batch }) => batch))).to.deep.equal([1, 2]);
      expect(code).to.equal(0);
    });

    itOnPosix("keeps finished cases after Ctrl-C, and nothing of the case that it ended", async () => {
      const file = join(directory, "interrupted.json");
      const sizes = ["--batch", "1,2,3,4,5,6,7,8", "--input", "30", "--output", "10"];
      const { code, stderr } = await run(
        "bench",
        [...quick, ...sizes, "--json", file],
        [],
        (output, child) => {
          output.on("data", (data: Buffer) => {
            if (/^batch 2, .* with: /m.test(`${data}`) && !child.killed) child.kill("SIGINT"); // a second one would end it at once
          });
        },
      );
      const [bench] = readResults<Gpu>(file, "gpu").benches;
      expect(stderr).to.match(/interrupted/);
      expect(bench!.cases.map(({ batch }) => batch)).to.include.members([1]);
      expect(bench!.cases.length).to.be.below(8);
      expect([code, bench!.interrupted, bench!.failed]).to.deep.equal([130, true, []]);
    });
  }

  for (const [what, args, sentence] of [
    ["sizes of no model", ["--config", "nope"], /^error: --config must be one of .*, got "nope"/],
    [
      "more positions than the context has",
      ["--input", "200000", "--output", "8"],
      /^error: input \+ output must be within the model's context of \d+ tokens, got 200000 \+ 8\n$/,
    ],
    [
      "an unknown execution",
      ["--execution", "eager,fast"],
      /^error: --execution must be .*, got "eager,fast"/,
    ],
    [
      "a TF32 setting that is neither on nor off",
      ["--tf32", "maybe"],
      /^error: --tf32 must be one of on, off, got "maybe"/,
    ],
  ] as const) {
    it(`rejects ${what} once, and writes no file`, async () => {
      const file = join(directory, "rejected.json");
      const { code, stdout, stderr } = await run("bench", [...quick, "--json", file, ...args]);
      expect(stderr).to.match(sentence);
      expect([code, stdout, existsSync(file)]).to.deep.equal([1, "", false]);
    });
  }

  it("rejects a GPU that is not there once, and writes no file", async function () {
    if (await findDriver(process.env)) return this.skip();
    const file = join(directory, "rejected.json");
    const { code, stdout, stderr } = await run("bench", [...quick, "--json", file, "--device", "cuda"]);
    expect(stderr).to.match(/^error: [^\n]*\n$/);
    expect([code, stdout, existsSync(file)]).to.deep.equal([1, "", false]);
  });

  it("rejects a file that cannot be written, before anything runs", async () => {
    const file = join(directory, "none", "gpu.json");
    const { code, stderr, stdout } = await run("bench", [...quick, "--json", file]);
    expect(stderr).to.match(/^error: cannot write \S*none\/gpu\.json: .*\n$/);
    expect([code, stdout]).to.deep.equal([1, ""]);
  });
});
