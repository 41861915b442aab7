import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { parseTrace } from "../../lecture/trace-file.js";
import { withoutStartupLog } from "../../src/backend/tensorflow-messages.js";
import { env, type Result, root, run } from "./run-command.js";

describe("A command whose output is closed early", () => {
  let directory: string;
  let file: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "outputs-"));
    file = join(directory, "trace.json");
  });
  afterEach(() => rm(directory, { recursive: true }));

  /** Closes stdout after the first output, as `| head -1` does. */
  const withClosedStdout = (command: string, args: readonly string[]) =>
    run(command, args, [], (output) => output.once("data", () => output.destroy()));

  const withClosedStderr = (command: string, args: readonly string[]) =>
    run(command, args, [], (_, child) => child.stderr!.destroy());

  it("exits with code 0 if it is stdout", async () => {
    for (const [command, args] of [
      ["generate", ["--max-gen-len", "60"]],
      ["compare", ["--max-gen-len", "4"]],
      ["start", ["--max-gen-len", "40"]],
    ] as const) {
      const { code, stderr } = await withClosedStdout(command, args);
      expect(code, stderr).to.equal(0);
      expect(stderr).not.to.match(/EPIPE|Error|interrupted/);
    }
  });

  it("stops generating if it is stdout", async () => {
    const { code, stdout, stderr } = await withClosedStdout("start", ["--max-gen-len", "900"]); // minutes, without the cache
    expect([code, stderr]).to.deep.equal([0, ""]);
    expect(stdout).not.to.match(/identical/);
  });

  it("still writes --json files if it is stdout", async () => {
    const { code, stdout, stderr } = await withClosedStdout("trace", ["--max-gen-len", "8", "--json", file]);
    expect([code, stderr]).to.deep.equal([0, ""]);
    expect(stdout).not.to.match(/saved/);
    expect(parseTrace(readFileSync(file, "utf8"), file).steps).to.have.length.above(8);
    expect(await readdir(directory)).to.deep.equal(["trace.json"]);
  });

  it("prints the whole result if it is stderr", async () => {
    const args = ["--max-gen-len", "8", "--temperature", "0"];
    const [usual, closed] = [await run("generate", args), await withClosedStderr("generate", args)];
    expect([closed.code, closed.stdout]).to.deep.equal([0, usual.stdout]);
    expect(usual.stdout).to.match(/^Once upon a time/);
  });

  it("exits with an error's code if it is stderr", async () => {
    expect((await withClosedStderr("generate", ["--checkpoint", "no/such/model"])).code).to.equal(1);
  });

  it("ends a chat if it is both", async () => {
    const { code, stderr } = await run("chat", [], [], (output, child) => {
      child.stderr!.once("data", () => [output, child.stderr!].forEach((stream) => stream.destroy()));
    });
    expect(code, stderr).to.equal(0);
  });
});

describe("A command whose output cannot be written", function () {
  before(function () {
    if (process.platform !== "linux") this.skip();
  });

  async function onFullDisk(command: string, args: readonly string[]): Promise<Omit<Result, "stdout">> {
    const full = openSync("/dev/full", "w");
    const node = ["--import", "tsx", `scripts/${command}.ts`, ...args];
    const child = spawn(process.execPath, node, { cwd: root, env, stdio: ["ignore", full, "pipe"] });
    closeSync(full);
    let stderr = "";
    child.stderr!.on("data", (data: Buffer) => (stderr += String(data)));
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    return { code, stderr: withoutStartupLog(stderr) };
  }

  const sentence = /^error: cannot write to stdout: ENOSPC.*\n$/;

  it("fails with one sentence", async () => {
    for (const [command, ...args] of [
      ["generate", "--max-gen-len", "4"],
      ["compare", "--max-gen-len", "4"],
      ["generate", "--help"],
    ] as const) {
      const { code, stderr } = await onFullDisk(command, args);
      expect(stderr).to.match(sentence);
      expect(code).to.equal(1);
    }
  });

  it("still writes --json files", async () => {
    const directory = await mkdtemp(join(tmpdir(), "outputs-"));
    const file = join(directory, "trace.json");
    const { code, stderr } = await onFullDisk("trace", ["--max-gen-len", "8", "--json", file]);
    expect(stderr).to.match(sentence);
    expect(code).to.equal(1);
    expect(parseTrace(readFileSync(file, "utf8"), file).steps).to.have.length.above(8);
    await rm(directory, { recursive: true });
  });
});
