import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { parseTrace } from "../../lecture/trace-file.js";
import { itOnPosix } from "../support.js";
import { env, root, run } from "./run-command.js";

describe("Lecture commands", () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "lecture-"));
  });
  after(() => rm(directory, { recursive: true }));

  it("trace --json saves a generation that the page can replay, and writes no other file", async () => {
    const file = join(directory, "trace.json");
    const options = ["--backend", "wasm", "--max-gen-len", "4", "--iterations", "1", "--layers", "0,4"];
    const { code, stdout } = await run("trace", [...options, "--json", file, "--prompt", "The king"]);
    expect(stdout).to.contain("saved 4 steps").and.not.contain("Iteration 2");
    expect(code).to.equal(0);
    const trace = parseTrace(await readFile(file, "utf8"), file);
    expect(trace.steps.length).to.equal(4);
    expect(trace.layers).to.deep.equal([0, 4]);
    expect(trace.tokenStrings[trace.steps[0]!.cached!.next[0]!.id]).to.be.a("string");
    expect(await readdir(directory)).to.deep.equal(["trace.json"]);
  });

  it("trace rejects layers that the model does not have, and --layers without --json", async () => {
    const file = join(directory, "none.json");
    const wrong = await run("trace", ["--backend", "wasm", "--layers", "9", "--json", file]);
    expect(wrong.stderr).to.equal("error: --layers must be from 0 to 4, got 9\n");
    const alone = await run("trace", ["--layers", "0"]);
    expect(alone.stderr).to.equal("error: --layers must be used together with --json\n");
    expect([wrong.code, alone.code]).to.deep.equal([1, 1]);
  });

  it("exercise lists the exercises, and rejects unknown numbers", async () => {
    const listed = await run("exercise");
    expect(listed.stdout.match(/^ {1,2}\d+ /gm)?.length).to.equal(12);
    const none = await run("exercise", ["13"]);
    expect(none.stderr).to.equal('error: the exercise must be a number from 1 to 12, got "13"\n');
    expect(none.code).to.equal(1);
  });

  itOnPosix("lecture prints the address of the page and serves it", async () => {
    const npm = spawn("npm", ["run", "lecture", "--", "--port", "5311"], { cwd: root, env, detached: true });
    try {
      let page = "";
      for await (const output of npm.stdout.setEncoding("utf8")) {
        const [url] = /http:\/\/localhost:\d+\//.exec(output as string) ?? [];
        if (!url) continue;
        page = await (await fetch(url)).text();
        break;
      }
      expect(page).to.contain("<title>The KV cache, step by step</title>");
    } finally {
      process.kill(-npm.pid!); // npm and its children
    }
  });

  it("lecture rejects a port that does not exist", async () => {
    const { code, stderr } = await run("lecture", ["--port", "99999"]);
    expect(stderr).to.equal('error: --port must be a whole number from 1 to 65535, got "99999"\n');
    expect(code).to.equal(1);
  });
});
