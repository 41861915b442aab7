import { spawnSync } from "node:child_process";
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { InputError } from "../../src/index.js";
import { compareVersions } from "../../src/util/run-command.js";
import { clean } from "../../scripts/setup-tensorflow/install.js";
import { RELEASE, parseWheelName } from "../../scripts/setup-tensorflow/release.js";
import type { SetupOptions } from "../../scripts/setup-tensorflow/plan.js";
import { type CardFacts, whyNotCuda } from "../../scripts/setup-tensorflow/self-test.js";
import { setup } from "../../scripts/setup-tensorflow/setup.js";
import type { Place } from "../../scripts/setup-tensorflow/place.js";
import { expectRejection } from "../support.js";
import { FakePlace, sha256, WHEEL_FILES, zip } from "./fake-environment.js";

describe("setup:tensorflow", () => {
  let fake: FakePlace;
  const cpuWheel = () => fake.release.wheels["cpu-x64"]!;
  const run = (options: SetupOptions = {}, changes: Partial<Place> = {}) =>
    setup(options, fake.place(changes));
  const fails = (message: RegExp, options: SetupOptions = {}, changes: Partial<Place> = {}) =>
    expectRejection(run(options, changes), InputError, message);
  const inPackage = (path: string) => join(fake.package, path);
  const library = () => inPackage("deps/lib/libtensorflow_cc.so.2");
  const addon = () => inPackage("lib/napi-v8/tfjs_binding.node");

  beforeEach(() => {
    fake = new FakePlace();
    fake.offer(cpuWheel(), fake.wheelContent);
  });
  afterEach(() => fake.remove());

  /** Names of unfinished things anywhere. */
  const leftovers = () =>
    (readdirSync(fake.root, { recursive: true }) as string[]).filter((path) => path.endsWith(".part"));

  describe("from nothing", () => {
    it("puts the libraries, the headers and the addon into the package, and says what the backend now is", async () => {
      expect(await run()).to.equal("--backend tensorflow now is TensorFlow 9.9.0 on cpu");
      expect(readFileSync(library(), "utf8")).to.equal(WHEEL_FILES["tensorflow/libtensorflow_cc.so.2"]);
      expect(existsSync(inPackage("deps/include/tsl/platform/ctstring.h"))).to.equal(true);
      expect(existsSync(inPackage("deps/include/tensorflow/core/graph.h"))).to.equal(false);
      expect(existsSync(addon())).to.equal(true);
    });

    it("downloads exactly the pinned wheel, whatever Python is there, and keeps nothing of it", async () => {
      await run();
      const [download, compile] = fake.calls();
      expect(download).to.match(/^python3 -m pip download .*--no-deps .*--require-hashes/);
      expect(download).to.include("--python-version 311 --implementation cp --abi cp311");
      expect(download).to.include("--platform manylinux_2_27_x86_64");
      expect(compile).to.match(/^g\+\+ .*-rpath,\$ORIGIN\/..\/..\/deps\/lib/);
      expect(readdirSync(fake.cache)).to.deep.equal(["tensorflow-9.9.0-cpu-x64"]);
      expect(leftovers()).to.deep.equal([]);
    });

    it("uses no room twice: the package's files are those of the cache", async () => {
      await run();
      const made = join(fake.cache, "tensorflow-9.9.0-cpu-x64", "deps/lib/libtensorflow_cc.so.2");
      expect(statSync(library()).ino).to.equal(statSync(made).ino);
    });

    it("takes the wheel that --from names, and leaves it where it is", async () => {
      const path = fake.write(`elsewhere/${cpuWheel().file}`, fake.wheelContent);
      await run({ from: path });
      expect(fake.calls().join()).not.to.include("python3");
      expect(existsSync(path)).to.equal(true);
      expect(existsSync(addon())).to.equal(true);
    });

    it("takes the compiler that CXX names, with its arguments", async () => {
      fake.command("clang++", 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo addon > "$2"; shift; done; true');
      await run({}, { env: { ...fake.env, CXX: "clang++ -march=native" } });
      expect(fake.calls().at(-1)).to.match(/^clang\+\+ -march=native -O2/);
    });
  });

  describe("run again", () => {
    beforeEach(async () => {
      await run();
      fake.calls();
      fake.lines.length = 0;
    });

    it("does nothing and says so", async () => {
      expect(await run()).to.include("now is TensorFlow 9.9.0");
      expect(fake.calls()).to.deep.equal([]);
      expect(fake.lines).to.include("everything is there already");
    });

    it("after npm ci, only puts back what the cache has", async () => {
      rmSync(inPackage("lib"), { recursive: true });
      rmSync(inPackage("deps"), { recursive: true });
      await run();
      expect(fake.calls()).to.deep.equal([]);
      expect([existsSync(library()), existsSync(addon())]).to.deep.equal([true, true]);
    });

    it("does nothing when only the cache is gone", async () => {
      rmSync(fake.cache, { recursive: true });
      await run();
      expect(fake.calls()).to.deep.equal([]);
    });

    it("makes again what is damaged", async () => {
      writeFileSync(library(), "cut off");
      await run();
      expect(fake.calls().map((call) => call.split(" ")[0])).to.deep.equal(["python3"]);
      expect(readFileSync(library(), "utf8")).to.have.lengthOf(3000);
    });

    it("makes again what was made from another release", async () => {
      const wheels = { "cpu-x64": { ...cpuWheel(), sha256: sha256(zip({ ...WHEEL_FILES, new: "" })) } };
      fake.offer(cpuWheel(), zip({ ...WHEEL_FILES, new: "" }));
      await run({}, { release: { ...fake.release, wheels } });
      expect(fake.calls().map((call) => call.split(" ")[0])).to.deep.equal(["python3", "g++"]);
    });

    it("--clean removes all of it, and a second one finds nothing to remove", async () => {
      await clean(fake.place());
      expect([existsSync(inPackage("deps")), existsSync(inPackage("lib"))]).to.deep.equal([false, false]);
      expect(existsSync(join(fake.root, "cache", "kv-cache-lecture"))).to.equal(false);
      expect(existsSync(inPackage("binding/tfjs_binding.cc"))).to.equal(true);
      await clean(fake.place());
    });
  });

  describe("interrupted", () => {
    it("goes on with the next step: what is whole is not made again", async () => {
      fake.command("g++", '[ "$1" = --version ] || { echo "tfjs.cc:1: fatal error: killed" >&2; exit 1; }');
      await fails(/g\+\+ cannot compile the addon \("tfjs.cc:1: fatal error: killed"\).*CXX/);
      expect(leftovers()).to.deep.equal([]);
      expect(existsSync(addon())).to.equal(false);
      fake.calls();
      fake.command("g++", 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo addon > "$2"; shift; done; true');
      await run();
      expect(fake.calls().map((call) => call.split(" ")[0])).to.deep.equal(["g++"]);
    });

    it("uses a wheel that was downloaded but not extracted", async () => {
      fake.write(`cache/kv-cache-lecture/tensorflow/${cpuWheel().file}`, fake.wheelContent);
      await run();
      expect(fake.calls().join()).not.to.include("python3");
      expect(existsSync(join(fake.cache, cpuWheel().file))).to.equal(false);
    });

    it("removes what a killed run has left, but not what a running one is making", async () => {
      const dead = spawnSync(process.execPath, ["--version"]).pid;
      const made = "cache/kv-cache-lecture/tensorflow/tensorflow-9.9.0-cpu-x64";
      fake.write(`${made}/deps.${dead}.part/lib/half`, "half");
      fake.write(`${made}/lib.${process.ppid}.part/half`, "half");
      fake.write(`cache/kv-cache-lecture/tensorflow/x.whl.pip.${dead}.part/half`, "half");
      fake.write(`node_modules/tfjs-node-gpu/deps.${dead}.part/half`, "half");
      await run();
      expect(leftovers()).to.deep.equal([`${made}/lib.${process.ppid}.part`]);
    });

    it("by Ctrl-C stops the command that is running", async () => {
      const interrupt = new AbortController();
      fake.command("python3", '[ "$3" = --version ] || exec /bin/sleep 30');
      const started = performance.now();
      setTimeout(() => interrupt.abort(), 300);
      await expectRejection(run({}, { signal: interrupt.signal }), Error, /abort/i);
      expect(performance.now() - started).to.be.below(5000);
      expect(leftovers()).to.deep.equal([]);
    });
  });

  describe("refuses, before it downloads anything,", () => {
    afterEach(() => expect(fake.calls()).to.deep.equal([]));

    it("other platforms, and says what to use instead", async () => {
      await fails(
        /Linux on x64 and arm64, and this is win32 on x64: use --backend wasm/,
        {},
        { platform: "win32" },
      );
      await fails(/this is darwin on arm64: use --backend wasm/, {}, { platform: "darwin", arch: "arm64" });
      await fails(/this is linux on riscv64: use --backend wasm/, {}, { arch: "riscv64" });
      await fails(/another C library: use --backend wasm/, {}, { glibc: undefined });
      await fails(/glibc 2.27 or newer, and this system has 2.17/, {}, { glibc: "2.17" });
    });

    it("a missing compiler", async () => {
      rmSync(join(fake.bin, "g++"));
      await fails(/compiler g\+\+ is not on the PATH: install one .*apt install g\+\+.* CXX/);
    });

    it("a missing Python or pip, and names the wheel to download by hand", async () => {
      fake.command("python3", 'echo "/usr/bin/python3: No module named pip" >&2; exit 1');
      await fails(/no working pip \(".*No module named pip"\): .*apt install python3-pip.* --from/);
      rmSync(join(fake.bin, "python3"));
      await fails(/python3 is not on the PATH.* download tensorflow_cpu-9.9.0-\S+ elsewhere .* --from/);
    });

    it("too little disk space, and says how much is needed where", async () => {
      fake.free = 3e8;
      await fails(/not enough disk space in .*kv-cache-lecture.*: 500 MB are needed and 300 MB are free/);
    });

    it("a driver that is too old, unless the CPU is asked for", async () => {
      fake.driver("470.82.01");
      await fails(/driver 470.82.01 is too old for CUDA 12, which needs 525.60.13/);
      await fails(/too old/, { device: "cuda" });
      await run({ device: "cpu" });
      fake.calls();
    });

    it("CUDA where there is no build for it, and its libraries for the CPU", async () => {
      await fails(/no CUDA build of TensorFlow for arm64/, { device: "cuda" }, { arch: "arm64" });
      await fails(/--with-cuda-libs is of use with --device cuda alone/, { withCudaLibs: true });
    });

    it("a --from that is missing, of another version or platform, or no wheel", async () => {
      await fails(/--from nowhere.whl: there is no such file; expected the wheel tensorflow_cpu-9.9.0/, {
        from: "nowhere.whl",
      });
      const given = (file: string) => ({ from: fake.write(`elsewhere/${file}`, fake.wheelContent) });
      await fails(
        /version 9.8.0, expected 9.9.0/,
        given("tensorflow_cpu-9.8.0-cp311-cp311-manylinux_2_27_x86_64.whl"),
      );
      await fails(
        /project tensorflow, expected tensorflow_cpu; platform win_amd64, expected manylinux_2_27_x86_64/,
        given("tensorflow-9.9.0-cp311-cp311-win_amd64.whl"),
      );
      await fails(/not the name of a wheel/, given("tensorflow.zip"));
    });
  });

  describe("reports", () => {
    it("a wheel with other bytes: the user's is left alone, our own is deleted", async () => {
      const other = zip({ ...WHEEL_FILES, evil: "" });
      const from = fake.write(`elsewhere/${cpuWheel().file}`, other);
      const message = new RegExp(`sha256 is ${sha256(other)}, expected ${cpuWheel().sha256}`);
      await fails(message, { from });
      expect(existsSync(from)).to.equal(true);
      fake.offer(cpuWheel(), other);
      await fails(message);
      expect(existsSync(join(fake.cache, cpuWheel().file))).to.equal(false);
      expect(existsSync(library())).to.equal(false);
    });

    it("that pip got another file than the pinned one", async () => {
      fake.command(
        "python3",
        `[ "$3" = --version ] || { printf "ERROR: THESE PACKAGES DO NOT MATCH\\n  Expected sha256 aaaa\\n       Got        bbbb\\n" >&2; exit 1; }`,
      );
      await fails(/another file than the pinned one \(sha256 bbbb, expected aaaa\); .*pip config list/);
    });

    it("that pip reached no network, in pip's words", async () => {
      fake.command(
        "python3",
        `[ "$3" = --version ] || { echo "WARNING: Retrying after connection broken by 'NewConnectionError('<Connection at 0x7f97>: No route to host')': /simple/" >&2
           echo "ERROR: No matching distribution found for tensorflow-cpu==9.9.0" >&2; exit 1; }`,
      );
      await fails(/pip says "No route to host; ERROR: No matching distribution.*--from/);
      expect(leftovers()).to.deep.equal([]);
    });

    it("a wheel without TensorFlow's libraries, and one that is no zip file", async () => {
      const pinned = (content: Buffer) => {
        fake.offer(cpuWheel(), content);
        const wheels = { "cpu-x64": { ...cpuWheel(), sha256: sha256(content) } };
        return { release: { ...fake.release, wheels } };
      };
      const missing = /holds no lib\/libtensorflow_cc.so.2, no lib\/libtensorflow_framework.so.2/;
      await fails(missing, {}, pinned(zip({ "tensorflow/include/tensorflow/c/c_api.h": "" })));
      await clean(fake.place());
      await fails(/cannot be read as a zip file/, {}, pinned(Buffer.from("<html>not found</html>")));
      expect(existsSync(library())).to.equal(false);
    });

    it("an backend that does not run", async () => {
      fake.attempt = { usable: false, reason: "loading it ended with SIGILL" };
      await fails(/installed but does not work: loading it ended with SIGILL/);
    });
  });

  describe("for CUDA", () => {
    const onCard = {
      usable: true,
      device: "cuda",
      description: "",
      tensorflow: "9.9.0",
      milliseconds: 1,
    } as const;
    beforeEach(() => {
      rmSync(join(fake.root, "index"), { recursive: true });
      fake.offer(fake.release.wheels["cuda-x64"]!, fake.wheelContent);
    });

    it("is chosen where there is a driver, and names the card", async () => {
      fake.driver("550.54.15");
      fake.attempt = onCard;
      expect(await run()).to.equal("--backend tensorflow now is TensorFlow 9.9.0 on cuda (NVIDIA H200)");
    });

    it("can be built without a card, and says that it stays on the CPU", async () => {
      expect(await run({ device: "cuda" })).to.match(/on cpu: .*this machine has no NVIDIA driver/);
    });

    it("brings the libraries to where libtensorflow looks for them, once", async () => {
      fake.driver("550.54.15");
      fake.attempt = onCard;
      await run();
      fake.calls();
      await run({ withCudaLibs: true });
      expect(fake.calls().join("\n")).to.match(
        /^python3 -m pip install .*--require-hashes.*--target \S+FILES /,
      );
      const linked = inPackage("deps/nvidia/cublas/lib/libcusolver.so.11");
      expect(readlinkSync(linked)).to.equal("../../cusolver/lib/libcusolver.so.11");
      expect(readFileSync(linked, "utf8")).to.equal("cusolver/lib/libcusolver.so.11");
      await run({ withCudaLibs: true });
      await run();
      expect(fake.calls()).to.deep.equal([]);
    });

    it("fails where there is a card that TensorFlow does not use, and says why", async () => {
      fake.driver("550.54.15");
      await fails(
        /stayed on the CPU although there is NVIDIA H200: it cannot open libcudart.so.12, .*--with-cuda-libs/,
      );
    });
  });

  it("knows why a card is not used, the nearest reason first", () => {
    const driver = { version: "550.54.15", cuda: "12.4", gpus: [] };
    const why = (facts: Partial<CardFacts>, said?: string) =>
      whyNotCuda({ driver, device: "cuda", missingLibraries: [], ...facts }, said);
    expect(why({ driver: null, device: "cpu" })).to.equal("this machine has no NVIDIA driver");
    expect(why({ device: "cpu", missingLibraries: ["libcudart.so.12"] })).to.match(
      /^it was built for the CPU; npm run setup:tensorflow -- --device cuda builds/,
    );
    expect(why({ missingLibraries: ["libcudart.so.12", "libcudnn.so.9"] })).to.match(
      /^it cannot open libcudart.so.12, libcudnn.so.9; .* --with-cuda-libs brings them$/,
    );
    expect(why({}, "failed call to cuInit")).to.match(
      /^it says "failed call to cuInit"; see whether nvidia-smi/,
    );
    expect(why({})).to.match(/^it does not say why; /);
  });

  it("has a well-formed release: names that pip understands, whole hashes", () => {
    for (const { file, sha256: hash } of Object.values(RELEASE.wheels)) {
      expect(parseWheelName(file)).to.include({ version: RELEASE.tensorflow, python: "cp311" });
      expect(hash).to.match(/^[0-9a-f]{64}$/);
    }
    for (const { sha256: hash } of RELEASE.cudaLibraries) expect(hash).to.match(/^[0-9a-f]{64}$/);
  });

  it("compares versions by their numbers", () => {
    expect(compareVersions("525.60.13", "525.60.13")).to.equal(0);
    expect(compareVersions("525.105", "525.60.13")).to.be.above(0);
    expect(compareVersions("2.9", "2.27")).to.be.below(0);
    expect(compareVersions("2", "2.0.1")).to.be.below(0);
  });
});
