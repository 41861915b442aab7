import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { EXECUTIONS, isBfloat16 } from "../../scripts/bench/case.js";
import { RESULTS } from "../../scripts/bench/report-blocks.js";
import { readResults } from "../../scripts/bench/results-file.js";
import { gpuSchema, type ResultsOf } from "../../scripts/bench/schema.js";
import { earlierResults, plan } from "../../scripts/bench/studies/gpu.js";
import { findDriver } from "../../src/backend/nvidia.js";
import { InputError } from "../../src/index.js";
import { backends } from "../support.js";
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
    "--no-tests",
    "--no-host-time",
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
      const { benches } = readResults(file, gpuSchema);
      const [bench] = benches;
      expect([benches.length, bench!.cases.map(({ batch }) => batch)]).to.deep.equal([1, [1]]);
      expect(bench!.failed.map(({ batch }) => batch)).to.deep.equal([100_000]);
      expect(bench!.failed[0]!.reason).to.match(/^a batch of 100000 .* must fit in \d.* GiB/);
      expect(code).to.equal(1);
    });

    it("measures the host time of a decode step for each execution", async () => {
      const file = join(directory, "host-time.json");
      const sizes = ["--batch", "1,2", "--input", "8", "--output", "2"];
      const args = [...quick.filter((word) => word !== "--no-host-time"), ...sizes, "--json", file];
      const { code } = await run("bench", args);
      const { hostTime, benches } = readResults(file, gpuSchema);
      expect(hostTime.map(({ batch, past, execution }) => [batch, past, execution])).to.deep.equal([
        [1, 8, "eager"],
        [2, 8, "eager"],
      ]);
      expect(benches.flatMap(({ cases }) => cases.map(({ batch }) => batch))).to.deep.equal([1, 2]);
      expect(code).to.equal(0);
    });

    it("keeps finished cases after Ctrl-C, and nothing of the case that it ended", async () => {
      const file = join(directory, "interrupted.json");
      const sizes = ["--batch", "1,2,3,4,5,6,7,8", "--input", "30", "--output", "10"];
      const { code, stderr } = await run(
        "bench",
        [...quick, ...sizes, "--json", file],
        [],
        (output, child) => {
          output.on("data", (data: Buffer) => {
            if (/^ +2 +with /m.test(`${data}`) && !child.killed) child.kill("SIGINT"); // a second one would end it at once
          });
        },
      );
      const [bench] = readResults(file, gpuSchema).benches;
      expect(stderr).to.match(/interrupted/);
      expect(bench!.cases.map(({ batch }) => batch)).to.include.members([1]);
      expect(bench!.cases.length).to.be.below(8);
      expect([code, bench!.interrupted, bench!.failed]).to.deep.equal([130, true, []]);
    });
  }

  for (const [what, args, sentence] of [
    [
      "sizes of no model",
      ["--config", "nope"],
      /^error: option '--config <name>' argument 'nope' is invalid/,
    ],
    [
      "more positions than the context has",
      ["--input", "1020", "--output", "8"],
      /^error: input 1020 and output 8 make 1028 positions, the model's context has 1024\n$/,
    ],
    [
      "an unknown execution",
      ["--execution", "eager,fast"],
      /^error: option '--execution <modes>' argument 'eager,fast' is invalid/,
    ],
    [
      "a TF32 setting that is neither on nor off",
      ["--tf32", "on,maybe"],
      /^error: option '--tf32 <switches>' argument 'on,maybe' is invalid/,
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

  describe("--append", () => {
    const measured = JSON.parse(readFileSync(`${RESULTS}h200-llama-3.2-1b.json`, "utf8")) as ResultsOf<"gpu">;
    const now = { ...measured, commit: "a", changed: false };
    const rejection = async (text: string | undefined) => {
      const earlier = join(directory, "earlier.json");
      await rm(earlier, { force: true });
      if (text !== undefined) await writeFile(earlier, text);
      try {
        earlierResults(earlier, now);
      } catch (error) {
        expect(error).to.be.instanceOf(InputError);
        return (error as Error).message.replace(earlier, "FILE");
      }
      return undefined;
    };

    it("takes a file of the same program and the same GPU", async () => {
      expect(await rejection(JSON.stringify(now))).to.equal(undefined);
    });

    for (const [what, change, seen] of [
      ["another commit", { commit: "b" }, "commit b on NVIDIA H200"],
      ["a changed program", { changed: true }, "commit a with changes on NVIDIA H200"],
      ["another GPU", { machine: { ...now.machine, nvidia: null } }, "commit a on no GPU"],
    ] as const) {
      it(`rejects a file of ${what}`, async () => {
        const sentence = await rejection(JSON.stringify({ ...now, ...change }));
        const expected = `^FILE was measured with ${seen}, this is commit a on NVIDIA H200; `;
        expect(sentence).to.match(new RegExp(expected));
      });
    }

    for (const [what, text] of [
      ["missing", undefined],
      ["cut off", '{"command": ['],
      ["no object", "null"],
      ["another study's", readFileSync(`${RESULTS}roofline-wasm.json`, "utf8")],
    ] as const) {
      it(`rejects a file that is ${what}, in one sentence`, async () => {
        expect(await rejection(text)).to.match(/^FILE (?:cannot be read as|is not a) results[^\n]*$/);
      });
    }
  });

  describe("measures", () => {
    const options = {
      execution: EXECUTIONS,
      tf32: ["off", "on"],
      batch: [1, 4, 8],
      device: "cuda",
      mode: "both",
      hostTime: true,
    } as const;

    it("float32 with every TF32 setting and bfloat16 once", () => {
      const [off, on] = plan(options);
      expect([off!.tf32, on!.tf32]).to.deep.equal(["off", "on"]);
      expect(off!.executions).to.deep.equal(["eager", "graph", "xla"]);
      expect(on!.executions).to.deep.equal(EXECUTIONS);
      expect(plan({ ...options, tf32: ["off"] })[0]!.executions.filter(isBfloat16)).to.have.length(2);
      expect(plan({ ...options, device: "cpu" }).map(({ tf32 }) => tf32)).to.deep.equal(["off"]);
    });

    it("the host time of the smallest and the last batch, with the cache", () => {
      const batches = (change: object) =>
        plan({ ...options, tf32: ["on"], execution: ["eager"], ...change }).flatMap(({ hostTime }) =>
          hostTime.map(({ batch }) => batch),
        );
      expect(batches({})).to.deep.equal([1, 8]);
      expect(batches({ batch: [1] })).to.deep.equal([1]);
      expect(batches({ mode: "uncached" })).to.deep.equal([]);
      expect(batches({ hostTime: false })).to.deep.equal([]);
    });
  });
});
