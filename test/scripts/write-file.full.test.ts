import { spawnSync } from "node:child_process";
import { lstatSync, readFileSync, statSync } from "node:fs";
import {
  chmod,
  type FileHandle,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { writePlots } from "../../scripts/bench/plots/plots.js";
import type { CaseResults } from "../../scripts/bench/results.js";
import { checkWritable, writeResults } from "../../scripts/write-file.js";
import { withoutStartupLog } from "../../src/backend/tensorflow-messages.js";
import { InputError } from "../../src/index.js";
import { expectRejection, fixture, itOnPosix } from "../support.js";
import { env, root, run } from "./run-command.js";

describe("A results file", () => {
  let directory: string;
  let file: string;
  const content = () => readFileSync(file, "utf8");
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "results-"));
    file = join(directory, "bench.json");
    await writeFile(file, "earlier results");
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("keeps its content until the new results are complete", async () => {
    await checkWritable(file);
    expect(content()).to.equal("earlier results");
    await writeResults(file, { later: true });
    expect(JSON.parse(content())).to.deep.equal({ later: true });
    expect(await readdir(directory)).to.deep.equal(["bench.json"]);
  });

  it("does not affect a file named like a temporary one", async () => {
    const other = `${file}.tmp`;
    await writeFile(other, "the user's");
    await checkWritable(file);
    await writeResults(file, { later: true });
    expect(readFileSync(other, "utf8")).to.equal("the user's");
    expect(await readdir(directory)).to.have.members(["bench.json", "bench.json.tmp"]);
  });

  itOnPosix("keeps its permissions, and stays a link if it is one", async () => {
    await chmod(file, 0o622); // more than the usual umask allows
    const link = join(directory, "link.json");
    await symlink(file, link);
    await writeResults(link, { later: true });
    expect(JSON.parse(content())).to.deep.equal({ later: true });
    expect(statSync(file).mode & 0o777).to.equal(0o622);
    const dangling = join(directory, "dangling.json");
    await symlink("later.json", dangling);
    await writeResults(dangling, { later: true });
    expect(JSON.parse(readFileSync(join(directory, "later.json"), "utf8"))).to.deep.equal({ later: true });
    expect(lstatSync(dangling).isSymbolicLink()).to.equal(true);
  });

  it("is unchanged if the disk is full, even if only flushing reports it", async () => {
    const results = JSON.parse(readFileSync(fixture("results/bundled-wasm.json"), "utf8")) as CaseResults;
    const handle = await open(file);
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const { sync } = prototype;
    const plot = join(directory, "bench-time.svg");
    await writeFile(plot, "earlier results");
    prototype.sync = () => Promise.reject(new Error("ENOSPC: no space left on device, fsync"));
    try {
      await expectRejection(
        writeResults(file, {}),
        InputError,
        /^cannot write \S+bench\.json: ENOSPC: no space left on device$/,
      );
      await expectRejection(
        writePlots(results, join(directory, "bench")),
        InputError,
        /^cannot write \S+bench-time\.svg: ENOSPC/,
      );
    } finally {
      prototype.sync = sync;
    }
    expect([content(), readFileSync(plot, "utf8")]).to.deep.equal(["earlier results", "earlier results"]);
    expect(await readdir(directory)).to.have.members(["bench.json", "bench-time.svg"]);
  });

  itOnPosix("is unchanged after a write that fails midway", async () => {
    const node = ["--import", "tsx", "scripts/trace.ts", "--max-gen-len", "8", "--json", file];
    // ulimit counts 512 or 1024 bytes, so files may have 4 or 8 KiB. tsx would cache files that are cut off.
    const limited = ["-c", 'ulimit -f 8; exec "$0" "$@"', process.execPath, ...node];
    const { status, stderr } = spawnSync("sh", limited, {
      cwd: root,
      env: { ...env, TSX_DISABLE_CACHE: "1" },
      encoding: "utf8",
    });
    expect(withoutStartupLog(stderr)).to.match(
      /^error: cannot write \S+bench\.json: EFBIG: file too large\n$/,
    );
    expect(status).to.equal(1);
    expect(content()).to.equal("earlier results");
    expect(await readdir(directory)).to.deep.equal(["bench.json"]);
  });

  for (const [what, at, reason] of [
    ["a directory", ".", "PATH must be a file, got a directory"],
    ["a pipe", "pipe", "PATH must be a file, got a device"],
    ["in a missing directory", "no/x.json", "cannot write PATH: ENOENT: no such file or directory"],
    ["below a file", "bench.json/x.json", "cannot write PATH: ENOTDIR: not a directory"],
  ] as const) {
    it(`is rejected if it is ${what}`, async function () {
      if (process.platform === "win32" && /^(a pipe|below)/.test(what)) this.skip(); // no such file, another error code
      if (at === "pipe" && spawnSync("mkfifo", [join(directory, at)]).status !== 0) this.skip();
      const path = join(directory, at);
      const names = await readdir(directory);
      for (const act of [checkWritable, writeResults]) {
        const error = await act(path, {}).catch((thrown: Error) => thrown);
        expect(error).to.be.instanceOf(InputError);
        expect((error as Error).message).to.equal(reason.replace("PATH", path));
      }
      expect(await readdir(directory)).to.deep.equal(names);
    });
  }

  it("is rejected before the first measurement", async () => {
    await mkdir(join(directory, "x-time.svg"));
    for (const [args, sentence] of [
      [["--json", directory], /^error: \S+ must be a file, got a directory\n$/],
      [["--json", ""], /^error: --json must be a file name, got ""\n$/],
      [["--json", "no/such/dir/x.json"], /^error: cannot write no\/such\/dir\/x.json: ENOENT[^\n]+\n$/],
      [["--plot", join(directory, "x")], /^error: \S+x-time\.svg must be a file, got a directory\n$/],
    ] as const) {
      const { code, stdout, stderr } = await run("bench", args);
      expect(stderr).to.match(sentence);
      expect([code, stdout]).to.deep.equal([1, ""]);
    }
  });
});
