import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../scripts/run-command.js";
import { itOnPosix, oneBackend } from "../support.js";

describe("Ctrl-C during the fuzz test", () => {
  let directory: string;
  before(async () => (directory = await mkdtemp(join(tmpdir(), "interrupted-"))));
  after(() => rm(directory, { recursive: true }));

  itOnPosix("ends it with 130 and removes its files", async function (this: Mocha.Context) {
    this.timeout(0);
    const env = { ...process.env, TMPDIR: directory, FUZZ_RUNS: "1000000", BACKENDS: oneBackend };
    const mocha = spawn(process.execPath, ["node_modules/mocha/bin/mocha.js", "test/fuzz/fuzz.test.ts"], {
      cwd: root,
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    mocha.stdout.on("data", (data: Buffer) => {
      output += String(data);
      if (output.includes("loads without damage") && !mocha.killed) mocha.kill("SIGINT");
    });
    const code = await new Promise((resolve) => mocha.on("close", resolve));
    expect(code).to.equal(130);
    const names = await readdir(directory);
    expect(names.filter((name) => name.startsWith("fuzz-"))).to.deep.equal([]);
  });
});
