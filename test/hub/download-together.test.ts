import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { download } from "../../src/hub/download.js";
import { FakeHub } from "./fake-hub.js";

const REPO = "someone/Tiny-Llama";

describe("downloads into one directory", () => {
  const weights = Buffer.from(Uint8Array.from({ length: 500_000 }, (_, i) => i * i));
  const files = new Map<string, Buffer>([
    ["config.json", Buffer.from('{"model_type":"llama"}')],
    ["model.safetensors", weights],
  ]);
  const weightsOf = () => readFile(join(directory, "model.safetensors"));
  const parts = async () => (await readdir(directory)).filter((name) => name.endsWith(".part")).toSorted();

  const hubs: FakeHub[] = [];
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "download-"));
  });
  afterEach(async () => {
    for (const hub of hubs.splice(0)) await hub.stop();
    await rm(directory, { recursive: true });
  });

  async function start(): Promise<FakeHub & { get: () => Promise<unknown> }> {
    const hub = new FakeHub(REPO, files);
    hubs.push(hub);
    const hubUrl = await hub.start();
    const get = () => download({ repo: REPO, revision: "main", hubUrl, directory, retryDelay: 1 });
    return Object.assign(hub, { get });
  }

  for (const milliseconds of [0, 10, 30, 60, 100]) {
    it(`give a file its right bytes, though another got a wrong one, ${milliseconds} ms later`, async () => {
      const [good, bad] = [await start(), await start()];
      bad.damaged.set("model.safetensors", Buffer.from(weights).fill(7, weights.length - 1));
      [good.slowness, bad.slowness] = [5, 10];
      const late = async () => (await sleep(milliseconds), bad.get());
      const [first, second] = await Promise.allSettled([good.get(), late()]);
      expect(first.status).to.equal("fulfilled");
      if (second.status === "rejected") expect(String(second.reason)).to.match(/has the hash/); // else it found all there
      expect(await weightsOf()).to.deep.equal(weights);
      expect(await parts()).to.deep.equal([]);
    });
  }

  it("leave a config.json, though the slower one is interrupted after the faster one's end", async () => {
    const [fast, slow] = [await start(), await start()];
    slow.slowness = 20;
    slow.damaged.set("config.json", Buffer.from("other"));
    const end = slow.get().catch(() => undefined);
    await fast.get();
    await end;
    expect((await readdir(directory)).toSorted()).to.deep.equal([...files.keys()]);
  });

  it("go on with one part, one of them alone", async () => {
    const hub = await start();
    hub.cuts.push(200_000, 0, 0, 0, 0, 0);
    await hub.get().catch(() => undefined);
    expect(await parts()).to.have.length(1);
    hub.cuts.length = 0;
    hub.requests.length = 0;
    hub.slowness = 5;
    await Promise.all([hub.get(), hub.get()]);
    const fetches = hub.requests.filter(({ path }) => path.endsWith("/model.safetensors"));
    expect(fetches.map(({ range }) => range !== undefined).toSorted()).to.deep.equal([false, true]);
    expect(await weightsOf()).to.deep.equal(weights);
    expect(await parts()).to.deep.equal([]);
  });

  it("leave the larger of their parts, when both are interrupted", async () => {
    const hub = await start();
    hub.cuts.push(200_000, 400_000, ...Array<number>(10).fill(0));
    hub.slowness = 5;
    await Promise.allSettled([hub.get(), hub.get()]);
    expect(await parts()).to.have.length(1);
    expect((await readFile(join(directory, (await parts())[0]!))).length).to.be.above(300_000);
  });

  /** Renames the part that an interrupted download has left, as if another process had it. */
  async function takenBy(owner: string): Promise<string> {
    const hub = await start();
    hub.cuts.push(200_000, 0, 0, 0, 0, 0);
    await hub.get().catch(() => undefined);
    const [name] = await parts();
    const path = join(directory, name!.replace(/part$/, `${owner}-12345678.part`));
    await writeFile(path, await readFile(join(directory, name!)));
    await rm(join(directory, name!));
    return path;
  }

  /** The place that this machine's parts have in their names. */
  async function place(): Promise<string> {
    const hub = await start();
    hub.slowness = 20;
    const done = hub.get();
    while ((await parts()).length === 0) await sleep(5);
    const [, found] = /\.(\w+)-\d+-\w+\.part$/.exec((await parts())[0]!)!;
    await done;
    for (const name of files.keys()) await rm(join(directory, name));
    return found!;
  }

  it("go on with the part of a process that was killed", async () => {
    const here = await place();
    const child = spawn(process.execPath, ["-e", ""]);
    await new Promise((resolve) => child.on("close", resolve));
    await takenBy(`${here}-${child.pid}`);
    const hub = await start();
    await hub.get();
    expect(hub.requests.some(({ range }) => range !== undefined)).to.equal(true);
    expect(await weightsOf()).to.deep.equal(weights);
    expect(await parts()).to.deep.equal([]);
  });

  for (const [whose, owner] of [
    ["of a process that runs", async () => `${await place()}-${process.pid}`],
    ["of another machine, where nobody knows which processes run", async () => "0badcafe-1"],
  ] as const) {
    it(`leave alone the part ${whose}`, async () => {
      const path = await takenBy(await owner());
      const before = await readFile(path);
      const hub = await start();
      await hub.get();
      expect(hub.requests.some(({ range }) => range !== undefined)).to.equal(false);
      expect(await readFile(path)).to.deep.equal(before);
    });
  }

  it("go on with another machine's part that has not grown for an hour", async () => {
    const path = await takenBy("0badcafe-1");
    const longAgo = Date.now() / 1000 - 3601;
    await utimes(path, longAgo, longAgo);
    const hub = await start();
    await hub.get();
    expect(hub.requests.some(({ range }) => range !== undefined)).to.equal(true);
    expect(await parts()).to.deep.equal([]);
  });
});
