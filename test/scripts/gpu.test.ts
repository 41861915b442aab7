import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { EXECUTIONS } from "../../scripts/bench/case.js";
import { type CardFile, earlierCard } from "../../scripts/bench/gpu/file.js";
import { plan, type Wanted } from "../../scripts/bench/gpu/plan.js";
import { findDriver } from "../../src/backend/nvidia.js";
import { InputError } from "../../src/index.js";
import { backends } from "../support.js";
import { run } from "./run-command.js";

describe("npm run card", () => {
  const quick = ["--device", "cpu", "--config", "bundled", "--no-tests", "--no-profile", "--execution", "eager", "--mode", "cached", "--repeat", "1"]; // prettier-ignore
  let directory: string;
  before(async () => (directory = await mkdtemp(join(tmpdir(), "card-test-"))));
  after(() => rm(directory, { recursive: true }));

  if (backends.includes("tensorflow")) {
    it("writes down why a cell failed, and measures the others", async () => {
      const file = join(directory, "card.json");
      const sizes = ["--batch", "100000,1", "--input", "200", "--output", "2"];
      const { code } = await run("card", [...quick, ...sizes, "--out", file]);
      const { bench, failed } = JSON.parse(readFileSync(file, "utf8")) as CardFile;
      expect(bench.map((one) => (one as { cells: unknown[] }).cells.length)).to.deep.equal([0, 1]);
      expect(failed).to.have.length(1);
      expect(failed[0]).to.match(/^bench, batch 100000, cached, .*: a batch of 100000 .* needs \d.* GiB/);
      expect(code).to.equal(1);
    });

    it("writes nothing of what Ctrl-C ended, neither as measured nor as failed", async () => {
      const out = join(directory, "interrupted.json");
      const args = [...quick, "--batch", "1,2,3,4,5,6,7,8", "--input", "30", "--output", "10", "--out", out];
      const { code, stderr } = await run("card", args, [], (output, child) => {
        output.on("data", (data: Buffer) => {
          if (/^input/m.test(`${data}`) && !child.killed) child.kill("SIGINT"); // a second one would end it at once
        });
      });
      expect(stderr).to.match(/interrupted/);
      expect([code, existsSync(out)]).to.deep.equal([130, false]);
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
      /^error: input 1020 and output 8 make 1028 positions, .* room for 1024\n$/,
    ],
  ] as const) {
    it(`refuses ${what} once, and writes no file`, async () => {
      const out = join(directory, "refused.json");
      const { code, stdout, stderr } = await run("card", [...quick, "--out", out, ...args]);
      expect(stderr).to.match(sentence);
      expect([code, stdout, existsSync(out)]).to.deep.equal([1, "", false]);
    });
  }

  it("refuses a card that is not there once, and writes no file", async function () {
    if (await findDriver(process.env)) return this.skip();
    const out = join(directory, "refused.json");
    const { code, stdout, stderr } = await run("card", [...quick, "--out", out, "--device", "cuda"]);
    expect(stderr).to.match(/^error: [^\n]*\n$/);
    expect([code, stdout, existsSync(out)]).to.deep.equal([1, "", false]);
  });

  it("refuses a file that cannot be written, before anything runs", async () => {
    const { code, stderr, stdout } = await run("card", [...quick, "--out", join(directory, "none", "card.json")]); // prettier-ignore
    expect(stderr).to.match(/^error: .*none\/card\.json cannot be written: .*\n$/);
    expect([code, stdout]).to.deep.equal([1, ""]);
  });

  describe("--append", () => {
    const now = { date: "", command: [], commit: "a", changed: false, machine: { nvidia: { version: "1", gpus: [{ name: "NVIDIA H200" }] } }, bench: [], profile: [], failed: [] } as unknown as CardFile; // prettier-ignore
    const refusal = async (text: string | undefined) => {
      const earlier = join(directory, "earlier.json");
      await rm(earlier, { force: true });
      if (text !== undefined) await writeFile(earlier, text);
      return earlierCard(earlier, now).then(
        () => undefined,
        (error: Error) => {
          expect(error).to.be.instanceOf(InputError);
          return error.message.replace(earlier, "FILE");
        },
      );
    };

    it("takes a file of the same program and the same card", async () => {
      expect(await refusal(JSON.stringify(now))).to.equal(undefined);
    });

    for (const [what, change, seen] of [
      ["another commit", { commit: "b" }, "commit b on NVIDIA H200"],
      ["a changed program", { changed: true }, "commit a and changes on NVIDIA H200"],
      ["another card", { machine: { nvidia: null } }, "commit a on no card"],
    ] as const) {
      it(`refuses one of ${what}`, async () => {
        const sentence = await refusal(JSON.stringify({ ...now, ...change }));
        expect(sentence).to.match(
          new RegExp(`^FILE was measured with ${seen}, this is commit a on NVIDIA H200; `),
        );
      });
    }

    for (const [what, text] of [
      ["missing", undefined],
      ["cut off", '{"command": ['],
      ["no object", "null"],
      ["another command's", '{"cells": []}'],
    ] as const) {
      it(`refuses one that is ${what}, in a sentence`, async () => {
        expect(await refusal(text)).to.match(/^FILE (?:cannot be read as|is not what) [^\n]*$/);
      });
    }
  });

  describe("measures", () => {
    const wanted: Wanted = { executions: EXECUTIONS, tf32: ["off", "on"], batch: ["1", "8"], mode: "both", profile: true, input: 8, output: 4, repeat: 1 }; // prettier-ignore
    const of = (change: Partial<Wanted>) => plan({ ...wanted, ...change }).map(({ what }) => what);

    it("float32 with every TF32 switch and bfloat16 once", () => {
      const cells = of({ batch: ["1"], mode: "cached", profile: false });
      expect(cells).to.have.length(3 * 2 + 2);
      expect(cells.filter((what) => what.includes("bf16")).every((what) => what.includes("TF32 on"))).to.equal(true); // prettier-ignore
      expect(of({ tf32: ["off"] }).filter((what) => what.includes("bf16"))).not.to.deep.equal([]);
    });

    it("both modes of each batch, and the steps of the smallest and the last", () => {
      expect(of({ executions: ["eager"], tf32: ["on"], batch: ["1", "4", "8"] })).to.deep.equal([
        ...["1", "8"].map((size) => `profile, batch ${size}, TF32 on, eager`),
        ...["1", "4", "8"].flatMap((size) => ["cached", "uncached"].map((mode) => `bench, batch ${size}, ${mode}, TF32 on, eager`)),
      ]); // prettier-ignore
    });
  });
});
