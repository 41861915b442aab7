import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { run } from "./run-command.js";

describe("Lecture commands", () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "lecture-"));
  });
  after(() => rm(directory, { recursive: true }));

  it("trace rejects layers that the model does not have, and --layers without --json", async () => {
    const file = join(directory, "none.json");
    const wrong = await run("trace", ["--backend", "wasm", "--layers", "9", "--json", file]);
    expect(wrong.stderr).to.equal("error: --layers must be from 0 to 4, got 9\n");
    const alone = await run("trace", ["--layers", "0"]);
    expect(alone.stderr).to.equal("error: --layers must be used together with --json\n");
    expect([wrong.code, alone.code]).to.deep.equal([1, 1]);
  });

  it("exercise rejects unknown numbers", async () => {
    const none = await run("exercise", ["9"]);
    expect(none.stderr).to.equal('error: the exercise must be a number from 1 to 8, got "9"\n');
    expect(none.code).to.equal(1);
  });

  it("lecture fails with one sentence if no port is free", async () => {
    const other = createServer().listen(65_535);
    other.on("error", () => {}); // another process has the port
    const { code, stderr } = await run("lecture", ["--port", "65535"]);
    expect(stderr).to.match(/^error: cannot serve the page: No available ports .*; try another --port\n$/);
    expect(code).to.equal(1);
    other.close();
  });
});
