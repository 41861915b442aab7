import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
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
    [".gitattributes", Buffer.from("*")],
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

  const WEIGHTS_PART = `model.safetensors.${createHash("sha256").update(weights).digest("hex").slice(0, 8)}.part`;
  const CONFIG_PART = `config.json.${createHash("sha1").update(`blob 22\0${files.get("config.json")}`).digest("hex").slice(0, 8)}.part`; // prettier-ignore

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

  const get = (options: Partial<DownloadOptions> = {}) =>
    download({ repo: REPO, revision: "main", hubUrl, directory, retryDelay: 1, ...options });
  const refuses = (message: RegExp, options: Partial<DownloadOptions> = {}) =>
    expectRejection(get(options), InputError, message);
  const present = async () =>
    (await readdir(directory, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1))
      .toSorted();

  it("gets the files that are read, whole, and no others; config.json last", async () => {
    const done: number[] = [];
    const result = await get({ onProgress: ({ doneBytes }) => done.push(doneBytes), token: TOKEN });
    expect(await present()).to.deep.equal(WANTED);
    for (const name of WANTED) expect(await readFile(join(directory, name))).to.deep.equal(files.get(name));
    expect(hub.requests.at(-1)!.path).to.match(/config\.json$/);
    expect(new Set(hub.requests.map(({ token }) => token))).to.deep.equal(new Set([`Bearer ${TOKEN}`]));
    expect(done).to.deep.equal(done.toSorted((a, b) => a - b));
    expect(done.at(-1)).to.equal(result.bytes);
  });

  it("asks for nothing that is there already", async () => {
    await get();
    hub.requests.length = 0;
    await get();
    expect(hub.requests).to.have.length(1);
  });

  it("goes on where a connection broke, as often as it does", async () => {
    hub.cuts.push(300_000, 200_000, 0, 0, 100_000);
    await get();
    expect(await readFile(join(directory, "model.safetensors"))).to.deep.equal(weights);
    const starts = hub.requests.map(({ range }) => Number(/=(\d+)/.exec(range ?? "")?.[1] ?? 0));
    expect(starts.filter((start) => start > 0).length).to.equal(5);
    expect(Math.max(...starts))
      .to.be.above(500_000)
      .and.below(600_001);
  });

  it("gives up after five tries without a byte, and goes on from there the next time", async () => {
    hub.cuts.push(300_000, 0, 0, 0, 0, 0, 0);
    await refuses(/the connection was lost|ended after|cannot be reached/);
    expect(await present()).to.deep.equal([WEIGHTS_PART]);
    hub.cuts.length = 0;
    hub.requests.length = 0;
    await get();
    expect(await present()).to.deep.equal(WANTED);
    expect(hub.requests[1]!.range).to.match(/^bytes=[1-9]\d*-999999$/);
  });

  it("deletes a file of the wrong hash, and leaves what was there", async () => {
    hub.damaged.set("model.safetensors", Buffer.from(weights).fill(7, 500, 501));
    await writeFile(join(directory, "model.safetensors"), "an older one");
    await refuses(/model\.safetensors has the hash [0-9a-f]{64}, expected [0-9a-f]{64}; it was deleted/);
    expect(await present()).to.deep.equal(["model.safetensors"]);
    expect(await readFile(join(directory, "model.safetensors"), "utf8")).to.equal("an older one");
    hub.damaged.clear();
    hub.damaged.set("config.json", Buffer.from('{"model_type":"other"}'));
    await refuses(/config\.json has the hash [0-9a-f]{40}, expected [0-9a-f]{40}/);
    expect(await present()).not.to.include("config.json");
  });

  it("refuses a file that is longer or shorter than listed", async () => {
    hub.damaged.set("config.json", Buffer.from('{"model_type":"llama"} and more'));
    await refuses(/config\.json has more than the 22 bytes that were listed/);
    await rm(join(directory, CONFIG_PART), { force: true });
    hub.damaged.set("config.json", Buffer.from('{"model'));
    await refuses(/config\.json ended after \d+ of 22 bytes/);
  });

  it("begins again where a part is longer than the file or not the file's beginning", async () => {
    await writeFile(join(directory, WEIGHTS_PART), Buffer.alloc(1_000_001));
    await get();
    expect(await readFile(join(directory, "model.safetensors"))).to.deep.equal(weights);
    await rm(join(directory, "model.safetensors"));
    await writeFile(join(directory, WEIGHTS_PART), "something else");
    await refuses(/model\.safetensors has the hash/);
    await get();
    expect(await readFile(join(directory, "model.safetensors"))).to.deep.equal(weights);
  });

  it("sends the token to the hub, and not to where files are kept", async () => {
    const store = new FakeHub(REPO, files);
    hub.elsewhere = await store.start();
    await get({ token: TOKEN });
    expect(await present()).to.deep.equal(WANTED);
    expect(store.requests).to.have.length(WANTED.length);
    expect(store.requests.filter(({ token }) => token)).to.deep.equal([]);
    await store.stop();
  });

  it("gets the weights' parts that the index names", async () => {
    const index = {
      weight_map: { a: "model-1.safetensors", b: "model-2.safetensors", c: "model-1.safetensors" },
    };
    const parts = new Map([...files].filter(([name]) => name !== "model.safetensors"));
    parts.set("model.safetensors.index.json", Buffer.from(JSON.stringify(index)));
    for (const n of [1, 2, 3]) parts.set(`model-${n}.safetensors`, weights.subarray(n));
    await serve(parts);
    await get();
    expect((await present()).filter((name) => name.startsWith("model"))).to.deep.equal([
      "model-1.safetensors",
      "model-2.safetensors",
      "model.safetensors.index.json",
    ]);
  });

  for (const [name, message] of [
    ["../../evil.safetensors", /tensor "a" is in "\.\.\/\.\.\/evil\.safetensors", expected the name/],
    ["/etc/passwd", /tensor "a" is in "\/etc\/passwd", expected the name/],
    ["README.md", /tensor "a" is in "README\.md", expected the name/],
    [
      "absent.safetensors",
      /index\.json names the file "absent\.safetensors", which is not in the repository/,
    ],
  ] as const) {
    it(`refuses an index that names ${name}`, async () => {
      const parts = new Map([...files].filter(([path]) => path !== "model.safetensors"));
      parts.set("model.safetensors.index.json", Buffer.from(JSON.stringify({ weight_map: { a: name } })));
      parts.set("../../evil.safetensors", weights);
      await serve(parts);
      await refuses(message);
      expect(await present()).to.deep.equal(["model.safetensors.index.json"]);
    });
  }

  const refusals: [
    what: string,
    refusal: { status: number; code?: string },
    token: string | undefined,
    message: RegExp,
  ][] = [
    [
      "a gated model, without a token",
      { status: 401, code: "GatedRepo" },
      undefined,
      /is gated: accept its licence on \S+Tiny-Llama, then set HF_TOKEN to an access token of that account \(\S+settings\/tokens\)/,
    ],
    [
      "a gated model, with a token",
      { status: 403, code: "GatedRepo" },
      TOKEN,
      /is gated: accept its licence on \S+, then try again once the owner/,
    ],
    [
      "a token that is not accepted",
      { status: 401 },
      TOKEN,
      /does not accept HF_TOKEN, expected a valid one/,
    ],
    [
      "a repository that is missing",
      { status: 401, code: "RepoNotFound" },
      undefined,
      /someone\/Tiny-Llama is not on \S+, or is private: then set HF_TOKEN/,
    ],
    [
      "a repository that is missing, with a token",
      { status: 404, code: "RepoNotFound" },
      TOKEN,
      /someone\/Tiny-Llama is not on \S+$/,
    ],
    [
      "a revision that is missing",
      { status: 404, code: "RevisionNotFound" },
      undefined,
      /has no revision "main"/,
    ],
    ["a server in trouble", { status: 503 }, undefined, /is busy \(status 503\); try again later/],
    ["a status that nobody knows", { status: 418 }, undefined, /answered with status 418/],
  ];
  for (const [what, refusal, token, message] of refusals) {
    it(`says what to do about ${what}`, async () => {
      hub.refusal = refusal;
      await refuses(message, { token });
      expect(await present()).to.deep.equal([]);
    });
  }

  it("lists a repository page by page", async () => {
    hub.pageSize = 2;
    await get({ token: TOKEN });
    expect(await present()).to.deep.equal(WANTED);
    const lists = hub.requests.filter(({ path }) => path.startsWith("/api/"));
    expect(lists).to.have.length(5);
    expect(new Set(lists.map(({ token }) => token))).to.deep.equal(new Set([`Bearer ${TOKEN}`]));
  });

  it("asks for the list again when it was lost on the way, or the server was busy", async () => {
    hub.listCuts = 2;
    hub.pageSize = 5;
    hub.refusal = { status: 503, times: 2 };
    await get();
    expect(await present()).to.deep.equal(WANTED);
    hub.listCuts = 5;
    await refuses(/^the connection was lost/);
    hub.listCuts = 0;
    await get();
  });

  it("names a file that was listed and is not there", async () => {
    hub.refusal = { status: 404, code: "EntryNotFound", files: true };
    await refuses(/^someone\/Tiny-Llama has no model\.safetensors on \S+, though it was listed; try again$/);
  });

  describe("where files come from elsewhere", () => {
    let store: FakeHub;
    beforeEach(async () => {
      store = new FakeHub(REPO, files);
      hub.elsewhere = await store.start();
    });
    afterEach(() => store.stop());

    it("asks the hub for another address when one has run out", async () => {
      store.refusal = { status: 403, times: 3 };
      await get();
      expect(await present()).to.deep.equal(WANTED);
      expect(hub.requests).to.have.length(1 + WANTED.length + 3);
    });

    it("says who refuses, and not that the model is gated", async () => {
      store.refusal = { status: 403 };
      await refuses(
        /^127\.0\.0\.1:\d+, where http:\S+ keeps model\.safetensors, answered with status 403; try again later$/,
      );
    });

    it("says who cannot be reached", async () => {
      hub.elsewhere = "http://files.invalid";
      await refuses(/^files\.invalid cannot be reached \(E\w+\)/);
    });
  });

  it("accepts a token of the form hf_oauth_ and three parts with dots", async () => {
    const token = "hf_oauth_eyJhbGci.eyJz-dWI_.c2ln";
    await get({ token });
    expect(hub.requests[0]!.token).to.equal(`Bearer ${token}`);
  });

  it("says that there is no network, at once", async () => {
    const gone = new FakeHub(REPO, files);
    const address = await gone.start();
    await gone.stop();
    await refuses(/^http:\/\/127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\); is there a network\?/, {
      hubUrl: address,
      retryDelay: 100_000,
    });
  });

  it("tries no second time where no further try can help", async () => {
    const message = /^http:\/\/127\.0\.0\.1:9 cannot be used \(bad port\)$/; // one that `fetch` refuses
    await refuses(message, { hubUrl: "http://127.0.0.1:9", retryDelay: 100_000 });
  });

  for (const [options, message] of [
    [{ repo: "../x" }, /the repository is "\.\.\/x", expected a name such as/],
    [{ repo: "gpt2" }, /the repository is "gpt2", expected/],
    [{ revision: "../.." }, /the revision is "\.\.\/\.\.", expected/],
    [{ token: "secret" }, /HF_TOKEN is no access token, expected "hf_" and then letters/],
    [
      { token: "hf_some token" },
      /HF_TOKEN is no access token, expected .* letters, digits, "_", "\." and "-" alone/,
    ],
    [{ directory: "" }, /^the directory is "", expected a name such as/],
    [{ hubUrl: "file:///etc" }, /HF_ENDPOINT is "file:\/\/\/etc", expected an address/],
  ] as const) {
    it(`refuses ${JSON.stringify(options)}`, () => refuses(message, options));
  }

  for (const address of [
    "http://user:secret@127.0.0.1:1",
    "https://:secret@127.0.0.1",
    "http:user:secret@host",
    "user:secret@host",
    "ftp://user:secret@host",
    "http://user:secret@",
  ]) {
    it(`refuses the address ${address} without a word of its password`, async () => {
      await refuses(/^HF_ENDPOINT (?!.*(?:user:|secret@)).*, expected an address such as/, {
        hubUrl: address,
      });
    });
  }

  it("refuses a repository without config.json or weights", async () => {
    await serve(new Map([["model.safetensors", weights]]));
    await refuses(/has no config\.json, expected a checkpoint in Hugging Face's form/);
    await serve(new Map([["config.json", weights]]));
    await refuses(/has no model\.safetensors/);
  });

  it("says that the directory cannot be written", () =>
    refuses(/cannot be written: /, { directory: fixture("README.md") }));

  it("goes well with another one that runs at the same time", async () => {
    hub.slowness = 5;
    await Promise.all([get(), get(), get()]);
    expect(await present()).to.deep.equal(WANTED);
    for (const name of WANTED) expect(await readFile(join(directory, name))).to.deep.equal(files.get(name));
  });

  it("refuses an index that is larger than any, before it is fetched", async () => {
    const parts = new Map([...files].filter(([path]) => path !== "model.safetensors"));
    parts.set("model.safetensors.index.json", Buffer.alloc(33 * 2 ** 20));
    await serve(parts);
    await refuses(/model\.safetensors\.index\.json has 34603008 bytes, expected at most 33554432/);
    expect(hub.requests).to.have.length(1);
  });

  it("says that the disk is full, and keeps what is there", async function () {
    if (process.platform !== "linux") this.skip();
    await symlink("/dev/full", join(directory, CONFIG_PART));
    await refuses(/\/config\.json cannot be written: ENOSPC/);
    expect(await present())
      .to.include("model.safetensors")
      .and.not.include("config.json");
  });

  it("says that a file cannot be flushed to the disk", async function () {
    if (process.platform !== "linux") this.skip();
    await symlink("/dev/null", join(directory, CONFIG_PART)); // which takes all and flushes nothing
    await refuses(/\/config\.json cannot be written: EINVAL.* fsync/);
  });

  it("says that a file that is there cannot be read", async () => {
    await mkdir(join(directory, "generation_config.json"));
    const { size } = await stat(join(directory, "generation_config.json"));
    await serve(new Map([...files, ["generation_config.json", Buffer.alloc(size)]]));
    await refuses(/\/generation_config\.json cannot be read: EISDIR/);
  });

  describe("npm run download", () => {
    function run(args: readonly string[], env: object = {}) {
      const node = ["--import", "tsx", "scripts/download.ts", ...args];
      const root = fileURLToPath(new URL("../..", import.meta.url));
      const child = spawn(process.execPath, node, {
        cwd: root,
        env: {
          ...process.env,
          HF_ENDPOINT: hubUrl,
          HF_TOKEN: "",
          NO_COLOR: "1",
          FORCE_COLOR: undefined,
          ...env,
        },
      });
      let [stdout, stderr] = ["", ""];
      child.stdout.on("data", (data: Buffer) => (stdout += String(data)));
      child.stderr.on("data", (data: Buffer) => (stderr += String(data)));
      const end = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
        child.on("close", (code) => resolve({ code, stdout, stderr })),
      );
      return { child, end };
    }

    /** Whether some bytes of a file are there. */
    const begun = async () => {
      const part = (await present()).find((name) => name.endsWith(".part"));
      return part !== undefined && (await readFile(join(directory, part)).catch(() => "")).length > 0;
    };

    it("downloads, and says what comes next", async () => {
      const { code, stdout } = await run([REPO, "--to", directory], { HF_TOKEN: TOKEN }).end;
      expect(stdout).to.match(/^5 files, 1\.0 MB, are in /);
      expect(stdout).to.include(`npm run generate -- --checkpoint ${directory}`);
      expect(hub.requests[0]!.token).to.equal(`Bearer ${TOKEN}`);
      expect(code).to.equal(0);
    });

    it("says what it has set aside", async () => {
      await writeFile(join(directory, "tokenizer.model"), "of another revision");
      const { code, stdout } = await run([REPO, "--to", directory]).end;
      expect(stdout).to.match(
        /^tokenizer\.model is not of this revision: it is called tokenizer\.model\.old now, .*\n5 files/,
      );
      expect(code).to.equal(0);
    });

    it("goes on to the end when nobody reads what it says", async () => {
      hub.slowness = 20;
      const { child, end } = run([REPO, "--to", directory]);
      child.stderr.once("data", () => {
        child.stderr.destroy();
        child.stdout.destroy();
      });
      expect((await end).code).to.equal(0);
      expect(await present()).to.deep.equal(WANTED);
    });

    it("says on stderr that a connection was lost, and goes on", async () => {
      hub.cuts.push(300_000);
      const { code, stderr } = await run([REPO, "--to", directory]).end;
      expect(stderr).to.match(/^model\.safetensors\ntrying again in 2 s: .*\n/);
      expect(code).to.equal(0);
    });

    it("prints one sentence, and exits with 1", async () => {
      hub.refusal = { status: 401, code: "GatedRepo" };
      const { code, stdout, stderr } = await run([REPO, "--to", directory]).end;
      expect(stderr).to.match(/^error: someone\/Tiny-Llama is gated.*\n$/);
      expect([code, stdout]).to.deep.equal([1, ""]);
    });

    it("goes on where it was killed", async () => {
      hub.slowness = 200;
      const { child, end } = run([REPO, "--to", directory]);
      while (!(await begun())) await new Promise((r) => setTimeout(r, 20));
      child.kill("SIGKILL");
      await end;
      expect(await present()).to.have.length(1);
      hub.slowness = 0;
      hub.requests.length = 0;
      await get();
      expect(hub.requests[1]!.range).to.match(/^bytes=[1-9]\d*-999999$/);
      expect(await present()).to.deep.equal(WANTED);
    });

    it("ends on Ctrl-C with 130, leaves no file under its own name, and goes on the next time", async () => {
      hub.slowness = 200;
      const { child, end } = run([REPO, "--to", directory]);
      while (!(await begun())) await new Promise((r) => setTimeout(r, 20));
      child.kill("SIGINT");
      const { code, stderr } = await end;
      expect(stderr).to.match(/\ninterrupted\n$/);
      expect(code).to.equal(130);
      expect(await present()).to.deep.equal([WEIGHTS_PART]);
      hub.slowness = 0;
      await get();
      expect(await present()).to.deep.equal(WANTED);
    });
  });
});
