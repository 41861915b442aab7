import { readdirSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { download, type DownloadOptions } from "../../src/hub/download.js";
import { readList } from "../../src/hub/hub-list.js";
import { bodyInTime } from "../../src/hub/stall.js";
import { InputError } from "../../src/util/errors.js";
import { expectRejection } from "../support.js";
import { FakeHub } from "./fake-hub.js";

const REPO = "someone/Tiny-Llama";

describe("a download from what is no hub, or a bad one", () => {
  const files = new Map<string, Buffer>([
    ["config.json", Buffer.from('{"model_type":"llama"}')],
    ["model.safetensors", Buffer.from(Uint8Array.from({ length: 1_000_000 }, (_, i) => i * i))],
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

  const get = (options: Partial<DownloadOptions> = {}) =>
    download({ repo: REPO, revision: "main", hubUrl, directory, retryDelay: 1, ...options });
  const refuses = (message: RegExp, options: Partial<DownloadOptions> = {}) =>
    expectRejection(get(options), InputError, message);

  describe("whose list", () => {
    const HASH = "0123456789".repeat(4);
    const address = String.raw`^http://127\.0\.0\.1:\d+/api/models/someone/Tiny-Llama/tree/main\?\S+ `;
    const hint = String.raw`, expected a list of files in JSON; is HF_ENDPOINT, http://127\.0\.0\.1:\d+, the address of a hub\?$`;
    const none = (seen: string) => new RegExp(`${address}answered with ${seen}${hint}`);
    const lists = (seen: string) => new RegExp(`${address}lists ${seen}$`);
    const file = (fields: object) => JSON.stringify([{ type: "file", path: "model.safetensors", ...fields }]);

    for (const [what, list, message] of [
      [
        "is a login page",
        `\n<html>\n\x1b[31m${"Welcome to our hotel ".repeat(9)}`,
        none(String.raw`"<html>\\n\\u001b\[31mWelcome to our hotel .{1,60}…"`),
      ],
      ["is an object", '{"a":1}', none(String.raw`"\{\\"a\\":1\}"`)],
      ["is empty", "", none('""')],
      ["nests without end", "[".repeat(1_000_000), none(String.raw`"\[{80}…"`)],
      ["ends in its middle", '[{"type":"file"', none(String.raw`"\[\{\\"type\\":\\"file\\""`)],
      ["has numbers", "[7]", lists("7, expected an object with type and path")],
      ["has null", "[null]", lists("null, expected an object with type and path")],
      ["has no paths", '[{"type":"file"}]', lists('{"type":"file"}, expected an object with type and path')],
      [
        "has a negative size",
        file({ oid: HASH, size: -5 }),
        lists('"model\\.safetensors" with the size -5, expected a whole number of bytes'),
      ],
      [
        "has a broken size",
        file({ oid: HASH, size: 1.5 }),
        lists('"model\\.safetensors" with the size 1\\.5, expected a whole number of bytes'),
      ],
      [
        "has a size that no number holds exactly",
        file({ lfs: { oid: HASH, size: 2 ** 53 } }),
        lists('"model\\.safetensors" with the size 9007199254740992, expected a whole number of bytes'),
      ],
      [
        "has no size",
        file({ oid: HASH }),
        lists('"model\\.safetensors" with the size nothing, expected a whole number of bytes'),
      ],
      [
        "has a hash that is a path",
        file({ oid: "../../x", size: 3 }),
        lists('"model\\.safetensors" with the hash "\\.\\./\\.\\./x", expected 40 hexadecimal digits'),
      ],
      [
        "has no sha256 of a large file",
        file({ oid: HASH, size: 3, lfs: { size: 3 } }),
        lists('"model\\.safetensors" with the hash nothing, expected 64 hexadecimal digits'),
      ],
    ] as const) {
      it(`${what}: says so at once`, async () => {
        hub.list = list;
        await refuses(message);
        expect(hub.requests).to.have.length(1);
        expect(await readdir(directory)).to.deep.equal([]);
      });
    }

    it("is larger than any: reads no more of it", async () => {
      hub.list = " ".repeat(33 * 2 ** 20);
      await refuses(/answered with more than 33554432 bytes, expected a list of files$/);
    });

    it("is a login page, where Hugging Face was asked: says what the matter may be", async () => {
      const huggingFace = "https://huggingface.co";
      const page = new Blob(["<html>"]).stream() as unknown as AsyncIterable<Uint8Array>;
      await expectRejection(
        readList(`${huggingFace}/api`, page, huggingFace),
        InputError,
        /"<html>", expected a list of files in JSON; does this network ask for a login\?$/,
      );
    });
  });

  it("that sends more of a file than listed: nothing stays", async () => {
    const sent = Buffer.concat([files.get("model.safetensors")!, Buffer.from("more")]);
    hub.damaged.set("model.safetensors", sent);
    await refuses(
      /^model\.safetensors has more than the 1000000 bytes that were listed; it was deleted, try again/,
    );
    expect(await readdir(directory)).to.deep.equal([]);
  });

  it("that has no content of a file: says so, and does not wait for it", async () => {
    hub.refusal = { status: 204, files: true };
    await refuses(/^http:\S+ answered with status 204 for model\.safetensors$/);
  });

  describe("that ignores ranges", () => {
    beforeEach(() => {
      hub.ignoresRanges = true;
    });

    it("goes on after the bytes that are there, and says that they come again", async () => {
      hub.cuts.push(300_000, 600_000);
      const [notes, done]: [string[], number[]] = [[], []];
      await get({ onNote: (note) => notes.push(note), onProgress: ({ doneBytes }) => done.push(doneBytes) });
      expect(await readFile(join(directory, "model.safetensors"))).to.deep.equal(
        files.get("model.safetensors"),
      );
      expect(done).to.deep.equal(done.toSorted((a, b) => a - b));
      const again = notes.filter((note) => !note.startsWith("trying again in 0.001 s: "));
      expect(again).to.have.length(2);
      for (const note of again)
        expect(note).to.match(
          /^http:\S+ ignores ranges: model\.safetensors comes from its beginning once more$/,
        );
    });

    it("keeps what is there when the connection is lost before more of it comes", async () => {
      hub.cuts.push(300_000, ...Array<number>(5).fill(100_000));
      await refuses(/connection was lost|ended after/);
      const [part] = await readdir(directory);
      expect((await stat(join(directory, part!))).size).to.be.above(200_000);
    });
  });

  describe("that falls silent", () => {
    const silent = /^the connection was lost \(http:\S+ has sent nothing for 0\.1 s\)$/;

    for (const [what, bytes] of [
      ["without an answer", undefined],
      ["after it has said yes", 0],
      ["in the middle", 300_000],
    ] as const) {
      it(`${what} of a file: tries again, and goes on`, async () => {
        hub.silences.push(bytes, bytes);
        const notes: string[] = [];
        await get({ stallLimit: 100, onNote: (note) => notes.push(note) });
        expect(await readFile(join(directory, "model.safetensors"))).to.deep.equal(
          files.get("model.safetensors"),
        );
        expect(notes).to.have.length(2);
        for (const note of notes) expect(note.replace(/^trying again in 0\.00\d s: /, "")).to.match(silent);
      });
    }

    it("at every try: says so, and leaves no empty part", async () => {
      hub.silences.push(...Array<number>(5).fill(0));
      const present: string[][] = [];
      const onNote = () => present.push(readdirSync(directory)); // what a killed process would leave
      await refuses(silent, { stallLimit: 100, onNote });
      expect([...present.flat(), ...(await readdir(directory))]).to.deep.equal([]);
    });

    it("instead of the list, or in its middle: says so", async () => {
      hub.listSilences = 5;
      await refuses(silent, { stallLimit: 100 });
      hub.listSilences = 2;
      await get({ stallLimit: 100 });
    });

    it("is not taken for silent while the reader has not asked for more", async () => {
      const body = bodyInTime(new Blob([Buffer.alloc(300_000)]).stream(), "the hub", 20);
      let bytes = 0;
      for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
        bytes += chunk.length;
        await sleep(60);
      }
      expect(bytes).to.equal(300_000);
    });
  });
});
