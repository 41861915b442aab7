import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { parseTrace } from "../../lecture/trace-file.js";
import { run } from "./run-command.js";

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

  it("exercise lists the exercises, and grades a solution", async () => {
    const listed = await run("exercise");
    expect(listed.stdout.match(/^ {2}\d /gm)?.length).to.equal(8);
    const solved = await run("exercise", ["1", "--solution"]);
    expect(solved.stdout).to.contain("All checks pass");
    expect(solved.code).to.equal(0);
  });

  it("lecture serves the page until Ctrl-C", async function () {
    if (process.platform === "win32") this.skip(); // it has no signals
    let page = "";
    const { code, stdout } = await run("lecture", ["--port", "5311"], [], (output, child) => {
      output.on("data", async (data: Buffer) => {
        const [url] = /http:\S+/.exec(`${data}`) ?? [];
        if (!url) return;
        page = await (await fetch(url)).text();
        child.kill("SIGINT");
      });
    });
    expect(stdout).to.match(/^The lecture is at http:\/\/localhost:\d+\//m);
    expect(page).to.contain("<title>The KV cache, step by step</title>");
    expect(code).to.equal(0);
  });
});
