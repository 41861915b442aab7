import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { itOnPosix } from "../support.js";
import { FakeHub } from "./fake-hub.js";
import { startDownload } from "./start-download.js";

const REPO = "someone/Tiny-Llama";

describe("npm run download", () => {
  const weights = Buffer.alloc(1_000_000, "weights");
  const files = new Map([
    ["config.json", Buffer.from("{}")],
    ["model.safetensors", weights],
  ]);

  let hub: FakeHub;
  let hubUrl: string;
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "download-"));
    hub = new FakeHub(REPO, files);
    hubUrl = await hub.start();
  });
  afterEach(async () => {
    await hub.stop();
    await rm(directory, { recursive: true });
  });

  const start = () => startDownload(REPO, directory, hubUrl);

  /** Starts a download of which the hub sends 300,000 more bytes and then nothing, and waits for some of them. */
  async function startHalf() {
    hub.faults.push({ after: 300_000, end: "silence" });
    const size = async () => {
      const part = (await readdir(directory)).find((name) => name.endsWith(".part"));
      return part ? (await stat(join(directory, part))).size : 0;
    };
    const before = await size();
    const command = start();
    while ((await size()) <= before) await sleep(20);
    return command;
  }

  it("prints one sentence for a gated repository, and exits with 1", async () => {
    hub.rejection = { status: 401, code: "GatedRepo" };
    const { code, stdout, stderr } = await start().end;
    expect(stderr).to.match(/^error: someone\/Tiny-Llama is gated.*\n$/);
    expect([code, stdout]).to.deep.equal([1, ""]);
  });

  itOnPosix("exits with 130 on Ctrl-C and resumes the next time, also after it was killed", async () => {
    const interrupted = await startHalf();
    interrupted.child.kill("SIGINT");
    const { code, stderr } = await interrupted.end;
    expect(stderr).to.match(/\ninterrupted\n$/);
    expect(code).to.equal(130);
    expect(String(await readdir(directory))).to.match(/^model\.safetensors\.[0-9a-f]{8}\.part$/);

    const killed = await startHalf();
    killed.child.kill("SIGKILL");
    await killed.end;
    expect((await start().end).code).to.equal(0);
    expect(hub.requests.filter(({ range }) => range)).to.have.length(2);
    expect((await readdir(directory)).toSorted()).to.deep.equal([...files.keys()]);
    expect(await readFile(join(directory, "model.safetensors"))).to.deep.equal(weights);
  });

  it("rejects a second download into the same directory", async () => {
    const first = await startHalf();
    const { code, stderr } = await start().end;
    expect(stderr).to.match(
      new RegExp(`^error: ${directory} is in use by another download, process ${first.child.pid} on .*\n$`),
    );
    expect(code).to.equal(1);
    first.child.kill("SIGKILL");
    await first.end;
  });
});
