import { spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, writeSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { expect } from "chai";
import { download, type DownloadOptions } from "../../src/hub/download.js";
import { InputError } from "../../src/util/errors.js";
import { expectRejection, fixture } from "../support.js";
import { FakeHub } from "./fake-hub.js";

const REPO = "someone/Tiny-Llama";
const TOKEN = "hf_sometoken";

describe("download", () => {
  const weights = Buffer.from(Uint8Array.from({ length: 1_000_000 }, (_, i) => i * i));
  const files = new Map<string, Buffer>([
    ["README.md", Buffer.from("a model")],
    ["config.json", Buffer.from('{"model_type":"llama"}')],
    ["generation_config.json", Buffer.from("{}")],
    ["tokenizer.json", Buffer.from("{}".padEnd(2000))],
    ["original/tokenizer.model", Buffer.from("IQ== 0\n")],
    ["original/consolidated.00.pth", Buffer.from("x")],
    ["pytorch_model.bin", Buffer.from("x")],
    ["model.safetensors", weights],
  ]);
  const WANTED = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "original/tokenizer.model",
    "tokenizer.json",
  ];

  let hub: FakeHub;
  let hubUrl: string;
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "download-"));
    await serve(files);
  });
  afterEach(async () => {
    await hub.stop();
    await rm(directory, { recursive: true });
  });

  async function serve(what: ReadonlyMap<string, Buffer>): Promise<void> {
    await hub?.stop();
    hub = new FakeHub(REPO, what);
    hubUrl = await hub.start();
  }

  const { signal } = new AbortController();
  const get = (options: Partial<DownloadOptions> = {}) =>
    download({ repo: REPO, revision: "main", hubUrl, directory, signal, retryDelay: 1, ...options });
  const rejects = (message: RegExp, options: Partial<DownloadOptions> = {}) =>
    expectRejection(get(options), InputError, message);
  const present = async () =>
    (await readdir(directory, { recursive: true, withFileTypes: true }))
      .filter((entry) => !entry.isDirectory())
      .map(({ parentPath, name }) => relative(directory, join(parentPath, name)).replaceAll(sep, "/"))
      .toSorted();
  const read = (name: string) => readFile(join(directory, name));
  const ranges = () => hub.requests.flatMap(({ range }) => range ?? []);
  const cut = (...after: number[]) =>
    hub.faults.push(...after.map((bytes) => ({ after: bytes, end: "cut" }) as const));

  it("gets complete copies of the files that are read, and no others; config.json last", async () => {
    const done: number[] = [];
    const { bytes } = await get({ onProgress: ({ doneBytes }) => done.push(doneBytes) });
    expect(await present()).to.deep.equal(WANTED);
    for (const name of WANTED) expect(await read(name)).to.deep.equal(files.get(name));
    expect(hub.requests.at(-1)!.path).to.match(/config\.json$/);
    expect(done).to.deep.equal(done.toSorted((a, b) => a - b));
    expect(done.at(-1)).to.equal(bytes);
  });

  it("requests only the list when everything is present", async () => {
    await get();
    hub.requests.length = 0;
    await get();
    expect(hub.requests).to.have.length(1);
  });

  it("resumes after every cut connection", async () => {
    cut(300_000, 200_000, 0, 0, 100_000);
    await get();
    expect(await read("model.safetensors")).to.deep.equal(weights);
    const starts = ranges().map((range) => Number(/^bytes=(\d+)-$/.exec(range)![1]));
    expect(starts).to.deep.equal(starts.toSorted((a, b) => a - b));
    expect(starts).to.have.length(5);
    expect(starts[0]).to.be.above(0);
  });

  it("gives up after five attempts without a byte, and resumes in the next call", async () => {
    cut(300_000, 0, 0, 0, 0);
    const notes: string[] = [];
    await rejects(/^the connection to http:\S+ failed \(.+\); check the network/, {
      onNote: (note) => notes.push(note.replace(/:.*/, "")),
    });
    expect(notes).to.deep.equal([1, 2, 4, 8].map((ms) => `trying again in ${ms / 1000} s`));
    expect(await present()).to.match(/^model\.safetensors\.[0-9a-f]{8}\.part$/);
    await get();
    expect(await present()).to.deep.equal(WANTED);
  });

  it("asks for the list again when it was lost on the way, or the server was busy", async () => {
    hub.listCuts = 2;
    hub.rejection = { status: 503, times: 2 };
    await get();
    expect(await present()).to.deep.equal(WANTED);
    hub.listCuts = 5;
    await rejects(/^the connection to http:\S+ failed/);
    hub.listCuts = 0;
    await get();
  });

  it("resumes with a server that ignores ranges", async () => {
    hub.ignoresRanges = true;
    cut(300_000, 600_000);
    await get();
    expect(await read("model.safetensors")).to.deep.equal(weights);
  });

  for (const [what, damaged] of [
    ["other", Buffer.from(weights).fill(7, 500, 501)],
    ["more", Buffer.concat([weights, weights])],
  ] as const) {
    it(`deletes a file with ${what} bytes than listed, and never gives it its name`, async () => {
      hub.damaged.set("model.safetensors", damaged);
      await rejects(/^model\.safetensors must have the hash [0-9a-f]{64}, got [0-9a-f]{64}; it was deleted/);
      expect(await present()).to.deep.equal([]);
      hub.damaged.clear();
      hub.damaged.set("config.json", Buffer.from('{"model_type":"other"}'));
      await rejects(/^config\.json must have the hash [0-9a-f]{40}, got [0-9a-f]{40}/);
      expect(await present()).not.to.include("config.json");
    });
  }

  it("rejects a file that is shorter than listed", async () => {
    hub.damaged.set("config.json", Buffer.from('{"model'));
    await rejects(/^config\.json ended after 7 of 22 bytes$/);
    expect(await present()).not.to.include("config.json");
  });

  it("deletes a part that is not the file's beginning", async () => {
    cut(300_000, 0, 0, 0, 0);
    await rejects(/failed/);
    await writeFile(join(directory, (await present())[0]!), "something else");
    await rejects(/^model\.safetensors must have the hash/);
    await get();
    expect(await read("model.safetensors")).to.deep.equal(weights);
  });

  it("never renames a part that another program has written to", async () => {
    let overwritten = false;
    const onProgress = ({ file, doneBytes }: { file: string; doneBytes: number }) => {
      if (file !== "model.safetensors" || doneBytes === 0 || overwritten) return;
      const part = readdirSync(directory).find((name) => name.endsWith(".part"))!;
      const fd = openSync(join(directory, part), "r+");
      writeSync(fd, "another program", 0);
      closeSync(fd);
      overwritten = true;
    };
    await rejects(/^model\.safetensors must have the hash/, { onProgress });
    expect(overwritten).to.equal(true);
    expect(await present()).to.deep.equal([]);
  });

  it("aborts, and resumes in the next call", async () => {
    const abort = new AbortController();
    const onProgress = ({ doneBytes }: { doneBytes: number }) =>
      doneBytes > 0 && abort.abort(new Error("stop"));
    await expectRejection(get({ onProgress, signal: abort.signal }), Error, /^stop$/);
    expect(await present()).to.match(/^model\.safetensors\.[0-9a-f]{8}\.part$/);
    await get();
    expect(ranges()).to.have.length(1);
  });

  describe("the token", () => {
    it("is sent with every request to the hub", async () => {
      await get({ token: TOKEN });
      expect(hub.requests).to.have.length(1 + WANTED.length);
      expect(new Set(hub.requests.map(({ token }) => token))).to.deep.equal(new Set([`Bearer ${TOKEN}`]));
    });

    it("is not sent to another host, which is asked again when its address has expired", async () => {
      const store = new FakeHub(REPO, files);
      hub.elsewhere = await store.start();
      store.rejection = { status: 403, times: 3 };
      await get({ token: TOKEN });
      expect(await present()).to.deep.equal(WANTED);
      expect(store.requests).to.have.length(3 + WANTED.length);
      expect(store.requests.filter(({ token }) => token)).to.deep.equal([]);
      await store.stop();
    });
  });

  describe("an index", () => {
    const withIndex = (...names: string[]) => {
      const parts = new Map([...files].filter(([path]) => path !== "model.safetensors"));
      const json = JSON.stringify({ weight_map: Object.fromEntries(names.map((name, i) => [i, name])) });
      parts.set("model.safetensors.index.json", Buffer.from(json));
      for (const n of [1, 2, 3]) parts.set(`model-${n}.safetensors`, weights.subarray(n));
      return parts.set("../../evil.safetensors", weights);
    };

    it("names the weight files", async () => {
      await serve(withIndex("model-1.safetensors", "model-2.safetensors", "model-1.safetensors"));
      await get();
      expect((await present()).filter((name) => name.startsWith("model"))).to.deep.equal([
        "model-1.safetensors",
        "model-2.safetensors",
        "model.safetensors.index.json",
      ]);
    });

    for (const [name, message] of [
      [
        "../../evil.safetensors",
        /file of tensor "0" must be the name .*, got "\.\.\/\.\.\/evil\.safetensors"/,
      ],
      ["/etc/passwd", /file of tensor "0" must be the name .*, got "\/etc\/passwd"/],
      ["absent.safetensors", /index\.json must name files of \S+Tiny-Llama, got absent\.safetensors/],
    ] as const) {
      it(`is rejected if it names ${name}`, async () => {
        await serve(withIndex(name));
        await rejects(message);
        expect(await present()).to.deep.equal(["model.safetensors.index.json"]);
      });
    }
  });

  for (const [what, rejection, token, message] of [
    [
      "a gated model",
      { status: 401, code: "GatedRepo" },
      undefined,
      /is gated: accept its licence on \S+, and set/,
    ],
    ["a gated model with a token", { status: 403 }, TOKEN, /is gated: accept its licence on \S+, and set/],
    [
      "a missing repository",
      { status: 401 },
      undefined,
      /is not on \S+, or it is private: then set HF_TOKEN/,
    ],
    ["a rejected token", { status: 401 }, TOKEN, /is not on \S+, or HF_TOKEN gives no access to it$/],
    ["a missing revision", { status: 404, code: "RevisionNotFound" }, undefined, /has no revision "main"/],
    ["a busy server", { status: 503 }, undefined, /answered with status 503; try again later/],
    ["another status", { status: 418 }, undefined, /answered with status 418$/],
    [
      "a missing file",
      { status: 404, files: true },
      undefined,
      /model\.safetensors answered with status 404$/,
    ],
    ["an answer without content", { status: 204, files: true }, undefined, /answered with status 204$/],
  ] as const) {
    it(`explains ${what}`, async () => {
      hub.rejection = { ...rejection };
      await rejects(message, { token });
      expect(await present()).to.deep.equal([]);
    });
  }

  const blobId = "0123456789".repeat(4);
  const sibling = (fields: object) =>
    JSON.stringify({ siblings: [{ rfilename: "config.json", size: 3, blobId, ...fields }] });
  for (const [what, list, message] of [
    ["a login page", `\n<html>\n${"Welcome ".repeat(99)}`, /must be valid JSON: .{1,120}$/],
    ["a list", "[]", /^the list of files at \S+ must be a JSON object, got \[\]$/],
    ["endless nesting", "[".repeat(1_000_000), /must nest at most 128 levels deep$/],
    [
      "more bytes than allowed",
      " ".repeat(8 * 2 ** 20 + 1),
      /^the list of files at \S+ must have at most 8388608 bytes, got more$/,
    ],
    ["no files", '{"siblings":3}', /siblings must be a list, got 3$/],
    ["null", '{"siblings":[null]}', /siblings\.0 must be a JSON object, got null$/],
    ["a fractional size", sibling({ size: 1.5 }), /siblings\.0\.size must be a size in bytes, got 1\.5$/],
    ["a negative size", sibling({ size: -5 }), /siblings\.0\.size must be a size in bytes, got -5$/],
    [
      "a hash that is a path",
      sibling({ blobId: "../../x" }),
      /siblings\.0\.blobId must be 40 hexadecimal digits, got "\.\.\/\.\.\/x"$/,
    ],
    [
      "no sha256 of a large file",
      sibling({ lfs: { sha256: null } }),
      /siblings\.0\.lfs\.sha256 must be 64 hexadecimal digits, got null$/,
    ],
  ] as const) {
    it(`rejects a list with ${what}`, async () => {
      hub.list = list;
      await rejects(message);
      expect(hub.requests).to.have.length(1);
    });
  }

  for (const [options, message] of [
    [{ repo: "../x" }, /^the repository must be OWNER\/NAME, .* got "\.\.\/x"/],
    [{ repo: "gpt2" }, /^the repository must be OWNER\/NAME/],
    [{ revision: "../.." }, /^the revision must be a branch, tag or commit, got "\.\.\/\.\."/],
    [{ token: "secret" }, /^HF_TOKEN must be an access token(?!.*secret)/],
    [{ directory: "" }, /^ cannot be written: ENOENT/],
    [{ hubUrl: "file:///etc" }, /^HF_ENDPOINT must be an address .*, got "file:\/\/\/etc"/],
    [{ hubUrl: "http://user:secret@host" }, /^HF_ENDPOINT must be (?!.*secret)/],
    [{ hubUrl: "user:secret@host" }, /^HF_ENDPOINT must be (?!.*secret)/],
    [{ hubUrl: "http://127.0.0.1:9" }, /failed \(bad port\)/], // `fetch` rejects it: nothing is sent
  ] as const) {
    it(`rejects ${JSON.stringify(options)}`, () => rejects(message, options));
  }

  it("rejects a repository without config.json or weights", async () => {
    await serve(new Map([["model.safetensors", weights]]));
    await rejects(/must be a checkpoint in Hugging Face's layout, but has no config\.json/);
    await serve(new Map([["config.json", weights]]));
    await rejects(/but has no model\.safetensors/);
  });

  describe("the directory", () => {
    for (const [name, text] of [
      ["config.json", "of another model"],
      ["tokenizer.model", "which would be read before original/tokenizer.model"],
      ["model.safetensors.index.json", "which the repository lacks"],
    ] as const) {
      it(`is rejected if it holds another ${name}, and not changed`, async () => {
        await writeFile(join(directory, name), text);
        await rejects(/ is not the file of \S+ at revision main: delete it, or choose another directory$/);
        expect(await present()).to.deep.equal([name]);
        expect(String(await read(name))).to.equal(text);
      });
    }

    it("may hold files of the repository already, and others that are not read", async () => {
      await writeFile(join(directory, "model.safetensors"), weights);
      await writeFile(join(directory, "notes.txt"), "mine");
      await get();
      expect(hub.requests).to.have.length(WANTED.length);
      expect(await present()).to.deep.equal([...WANTED, "notes.txt"].toSorted());
    });

    const { pid: ended } = spawnSync(process.execPath, ["-e", ""]);
    const lockOf = (pid: number, host = hostname()) =>
      `.download.${host}.${pid}.01234567-89ab-cdef-0123-456789abcdef.lock`;

    it("is used by one download of a process at a time", async () => {
      hub.faults.push({ after: 300_000, end: "silence" });
      const abort = new AbortController();
      let first!: Promise<unknown>;
      await new Promise<void>((started) => {
        const onProgress = ({ doneBytes }: { doneBytes: number }) => doneBytes > 0 && started();
        first = get({ onProgress, signal: abort.signal }).catch(String);
      });
      await rejects(new RegExp(`is in use by another download, process ${process.pid} on ${hostname()}`));
      abort.abort(new Error("stop"));
      expect(await first).to.equal("Error: stop");
      await get();
      expect(ranges()).to.have.length(1);
      expect(await present()).to.deep.equal(WANTED);
      expect(await read("model.safetensors")).to.deep.equal(weights);
    });

    for (const [what, pid, host] of [
      ["another process", process.ppid, hostname()],
      ["another host", ended, "elsewhere"],
    ] as const) {
      it(`is rejected if ${what} uses it`, async () => {
        await writeFile(join(directory, lockOf(pid, host)), "");
        await rejects(new RegExp(`is in use by another download, process ${pid} on ${host}: wait for it`));
        expect(await present()).to.deep.equal([lockOf(pid, host)]);
      });
    }

    it("is taken over from a download that was killed", async () => {
      await writeFile(join(directory, lockOf(ended)), "");
      await get();
      expect(await present()).to.deep.equal(WANTED);
    });

    it("is never used by two downloads that start at the same time", async () => {
      await writeFile(join(directory, lockOf(ended)), "");
      await Promise.allSettled([1, 2, 3, 4].map(() => get()));
      const requested = hub.requests.filter(({ path }) => path.endsWith("model.safetensors"));
      expect(requested).to.have.length.at.most(1);
      await get();
      expect(await present()).to.deep.equal(WANTED);
    });

    it("must be writable", () => rejects(/cannot be written: /, { directory: fixture("README.md") }));

    it("keeps what it has when the disk is full", async function () {
      if (process.platform !== "linux") this.skip();
      cut(300_000, 0, 0, 0, 0);
      await rejects(/failed/);
      const [part] = await present();
      await rm(join(directory, part!));
      await symlink("/dev/full", join(directory, part!));
      await rejects(/\/model\.safetensors cannot be written: ENOSPC/);
      expect((await stat(directory)).isDirectory()).to.equal(true);
    });
  });
});
