import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { download, type Downloaded } from "../../src/hub/download.js";
import { InputError } from "../../src/util/errors.js";
import { expectRejection } from "../support.js";
import { FakeHub } from "./fake-hub.js";

const REPO = "someone/Tiny-Llama";

type Files = Readonly<Record<string, string>>;

describe("a download of another revision into the same directory", () => {
  const single: Files = {
    "config.json": "1",
    "generation_config.json": "1",
    "model.safetensors": "1".repeat(2000),
    "tokenizer.model": "1",
  };
  const index = (part: string) => JSON.stringify({ weight_map: { a: `${part}.safetensors` } });
  const sharded: Files = {
    "config.json": "2",
    "model.safetensors.index.json": index("model-2"),
    "model-2.safetensors": "2".repeat(2000),
    "tokenizer.json": "2",
  };

  let hub: FakeHub | undefined;
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "download-"));
  });
  afterEach(async () => {
    await hub?.stop();
    await rm(directory, { recursive: true });
  });

  async function get(files: Files, change: (served: FakeHub) => void = () => undefined): Promise<Downloaded> {
    await hub?.stop();
    hub = new FakeHub(REPO, new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)])));
    const hubUrl = await hub.start();
    change(hub);
    return download({ repo: REPO, revision: "main", hubUrl, directory, retryDelay: 1 });
  }

  /** What is there, but for what is set aside and the parts. */
  async function present(): Promise<Files> {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const paths = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
    const read = paths.filter((path) => !/\.(old(\.\d+)?|part)$/.test(path));
    return Object.fromEntries(
      await Promise.all(
        read.map(async (path) => [path.slice(directory.length + 1), await readFile(path, "utf8")] as const),
      ),
    );
  }

  const text = (name: string) => readFile(join(directory, name), "utf8");

  it("sets aside what would be read in place of it: one weights file, where it has several", async () => {
    await get(single);
    await writeFile(join(directory, "tokenizer.model.old"), "from before");
    const { setAside } = await get(sharded);
    expect(await present()).to.deep.equal(sharded);
    expect([...setAside]).to.deep.equal([
      ["model.safetensors", "model.safetensors.old"],
      ["generation_config.json", "generation_config.json.old"],
      ["tokenizer.model", "tokenizer.model.old.2"], // the other name is taken
    ]);
    for (const [name, now] of setAside) expect(await text(now)).to.equal(single[name]);
    expect(await text("tokenizer.model.old")).to.equal("from before");
  });

  it("sets the index aside, where it has one weights file", async () => {
    await get(sharded);
    const { setAside } = await get(single);
    expect([...setAside.keys()]).to.deep.equal(["model.safetensors.index.json", "tokenizer.json"]);
    const { "model-2.safetensors": unread, ...rest } = await present();
    expect(unread).to.equal(sharded["model-2.safetensors"]); // which nothing names any more
    expect(rest).to.deep.equal(single);
  });

  it("leaves what is of the revision, asked for or not, and what is not read", async () => {
    await get(single);
    await writeFile(join(directory, "notes.txt"), "mine");
    await get({ ...single, "model.safetensors.index.json": index("model-2") });
    await writeFile(join(directory, "model.safetensors.index.json"), index("model-2"));
    const { setAside } = await get({ ...single, "model.safetensors.index.json": index("model-2") });
    expect([...setAside]).to.deep.equal([]);
    expect(Object.keys(await present())).to.include.members(["notes.txt", "model.safetensors.index.json"]);
  });

  it("leaves the earlier revision whole until a file of this one is", async () => {
    await get(single);
    const before = await present();
    const next = { ...single, "config.json": "2", "model.safetensors": "2".repeat(2000) };
    const cut = (served: FakeHub) => served.cuts.push(1000, 0, 0, 0, 0, 0);
    await expectRejection(get(next, cut), InputError, /lost|ended|reached/);
    expect(await present()).to.deep.equal(before);
  });

  it("leaves no config.json beside files of two revisions, and completes the next time", async () => {
    await get(single);
    const next = {
      ...single,
      "config.json": "2",
      "model.safetensors": "2".repeat(2000),
      "tokenizer.model": "2",
    };
    const damage = (served: FakeHub) => served.damaged.set("tokenizer.model", Buffer.from("3"));
    await expectRejection(get(next, damage), InputError, /tokenizer\.model has the hash/);
    const { "config.json": config, "model.safetensors": weights } = await present();
    expect([config, weights]).to.deep.equal([undefined, next["model.safetensors"]]);
    await get(next);
    expect(await present()).to.deep.equal(next);
  });

  it("sets aside a tokenizer.model that would be read before its own in original/", async () => {
    await get(single);
    const { "tokenizer.model": ranks, ...rest } = single;
    const next = { ...rest, "original/tokenizer.model": ranks! };
    expect([...(await get(next)).setAside.keys()]).to.deep.equal(["tokenizer.model"]);
    expect(await present()).to.deep.equal(next);
  });

  it("gets a config.json again that is the same in both", async () => {
    await get(single);
    await get({ ...sharded, "config.json": "1" });
    expect(await present()).to.deep.equal({ ...sharded, "config.json": "1" });
  });
});
