import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect } from "chai";
import { InputError } from "../../src/index.js";
import { compareVersions } from "../../src/util/run-command.js";
import { whyNotCuda } from "../../scripts/setup-tensorflow/cuda.js";
import type { Environment } from "../../scripts/setup-tensorflow/environment.js";
import { buildDirectory, clean } from "../../scripts/setup-tensorflow/install.js";
import { RELEASE } from "../../scripts/setup-tensorflow/release.js";
import { setup, type SetupOptions } from "../../scripts/setup-tensorflow/setup.js";
import { expectRejection } from "../support.js";
import { FakeEnvironment, WHEEL_FILES } from "./fake-environment.js";

describe("setup:tensorflow", () => {
  let fake: FakeEnvironment;
  const run = (options: SetupOptions = {}, changes: Partial<Environment> = {}) =>
    setup(options, fake.environment(changes));
  const fails = (message: RegExp, options: SetupOptions = {}, changes: Partial<Environment> = {}) =>
    expectRejection(run(options, changes), InputError, message);
  const inPackage = (path: string) => join(fake.package, path);
  const library = () => inPackage("deps/lib/libtensorflow_cc.so.2");
  const addon = () => inPackage("lib/napi-v8/tfjs_binding.node");

  const mac = { platform: "darwin", arch: "arm64", glibc: undefined };

  before(function () {
    if (process.platform === "win32") this.skip(); // the fake commands are shell scripts
  });
  beforeEach(() => (fake = new FakeEnvironment()));
  afterEach(() => fake.remove());

  const build = () => buildDirectory("cpu", fake.environment());
  /** All unfinished directories. */
  const leftovers = () =>
    (readdirSync(fake.root, { recursive: true }) as string[]).filter((path) => path.endsWith(".part"));

  describe("without a cache", () => {
    it("installs the libraries and the addon, keeps nothing else, and reports the backend", async () => {
      expect(await run()).to.equal("works: tensorflow (TensorFlow 9.9.0 on cpu)");
      expect(readFileSync(library(), "utf8")).to.equal(WHEEL_FILES["tensorflow/libtensorflow_cc.so.2"]);
      expect(existsSync(addon())).to.equal(true);
      const files = readdirSync(build(), { recursive: true, withFileTypes: true });
      expect(files.filter((entry) => entry.isFile())).to.have.lengthOf(3);
    });

    it("installs the pinned wheel with any version of Python, and verifies its hash", async () => {
      await run();
      const [download, compile] = fake.calls();
      expect(download).to.match(/^python3 -m pip install .*--require-hashes --no-deps/);
      expect(download).to.include(
        "--implementation cp --python-version 311 --platform manylinux_2_27_x86_64",
      );
      expect(compile).to.match(/^g\+\+ .*\/libtensorflow_cc\.so\.2 .*-rpath,\$ORIGIN\/\.\.\/\.\.\/deps\/lib/);
      expect(readdirSync(fake.cache))
        .to.have.length(1)
        .and.match(/^tensorflow-9\.9\.0-cpu-linux-x64-[0-9a-f]{8}$/);
      expect(leftovers()).to.deep.equal([]);
    });

    it("links the package's directories to those of the cache, so that they take no space twice", async () => {
      await run();
      for (const name of ["deps", "lib"]) expect(readlinkSync(inPackage(name))).to.equal(join(build(), name));
    });

    it("uses the compiler of CXX, with its arguments", async () => {
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

    it("does nothing and reports that", async () => {
      expect(await run()).to.include("TensorFlow 9.9.0");
      expect(fake.calls()).to.deep.equal([]);
      expect(fake.lines).to.include("everything is installed already");
    });

    it("after npm ci, installs what the cache has, and makes nothing", async () => {
      rmSync(inPackage("lib"));
      rmSync(inPackage("deps"));
      await run();
      expect(fake.calls()).to.deep.equal([]);
      expect([existsSync(library()), existsSync(addon())]).to.deep.equal([true, true]);
    });

    it("replaces directories that are no links to the cache", async () => {
      rmSync(inPackage("deps"));
      fake.write("node_modules/tfjs-node-gpu/deps/lib/libtensorflow_cc.so.2", "of another version");
      await run();
      expect(fake.calls()).to.deep.equal([]);
      expect(readFileSync(library(), "utf8")).to.have.lengthOf(3000);
    });

    it("makes everything again if the cache is missing", async () => {
      rmSync(fake.cache, { recursive: true });
      await run();
      expect(fake.calls().map((call) => call.split(" ")[0])).to.deep.equal(["python3", "g++"]);
    });

    it("makes everything again for another release", async () => {
      const wheels = { "cpu-linux-x64": "tensorflow-cpu==9.9.1" };
      await run({}, { release: { ...fake.release, wheels } });
      expect(fake.calls().map((call) => call.split(" ")[0])).to.deep.equal(["python3", "g++"]);
    });

    it("--clean removes everything, and can be repeated", async () => {
      await clean(fake.environment());
      expect([existsSync(inPackage("deps")), existsSync(inPackage("lib"))]).to.deep.equal([false, false]);
      expect(existsSync(join(fake.root, "cache", "kv-cache-lecture"))).to.equal(false);
      expect(existsSync(inPackage("binding/tfjs_binding.cc"))).to.equal(true);
      await clean(fake.environment());
    });
  });

  describe("interrupted", () => {
    it("by an error of the compiler, reports it, leaves nothing, and can be repeated", async () => {
      fake.command("g++", '[ "$1" = --version ] || { echo "tfjs.cc:1: fatal error: killed" >&2; exit 1; }');
      await fails(/g\+\+ cannot compile the addon \("tfjs.cc:1: fatal error: killed"\).*CXX/);
      expect(readdirSync(fake.cache)).to.deep.equal([]);
      expect(existsSync(addon())).to.equal(false);
      fake.command("g++", 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo addon > "$2"; shift; done; true');
      await run();
      expect(existsSync(addon())).to.equal(true);
    });

    it("by Ctrl-C, stops the running command", async () => {
      const interrupt = new AbortController();
      fake.command("python3", '[ "$3" = --version ] || exec /bin/sleep 1000');
      const installing = run({}, { signal: interrupt.signal });
      while (!fake.hasCalled(/pip install/)) await setTimeout(10);
      interrupt.abort();
      await expectRejection(installing, Error, /abort/i);
      expect(leftovers()).to.deep.equal([]);
    });
  });

  describe("rejects, before downloading anything,", () => {
    afterEach(() => expect(fake.calls()).to.deep.equal([]));

    it("other platforms, and names the wasm backend", async () => {
      await fails(
        /^the platform must be Linux on x64 or arm64, or macOS on arm64, got win32 on x64: use WSL2, or --backend wasm$/,
        {},
        { platform: "win32" },
      );
      await fails(/got darwin on x64: use --backend wasm/, {}, { platform: "darwin" });
      await fails(/got linux on riscv64: use --backend wasm/, {}, { arch: "riscv64" });
      await fails(
        /must be glibc 2.27 or newer, got another one: use --backend wasm/,
        {},
        { glibc: undefined },
      );
      await fails(/glibc 2.27 or newer, got 2.17/, {}, { glibc: "2.17" });
    });

    it("a missing compiler", async () => {
      rmSync(join(fake.bin, "g++"));
      await fails(/^g\+\+ is not on the PATH: install a C\+\+ compiler .*apt install g\+\+.* CXX/);
      await fails(/^clang\+\+ is not on the PATH: .*macOS: xcode-select --install/, {}, mac);
    });

    it("a missing Python or pip", async () => {
      fake.command("python3", 'echo "/usr/bin/python3: No module named pip" >&2; exit 1');
      await fails(/^python3 -m pip does not work \(".*No module named pip"\): .*apt install python3-pip/);
      rmSync(join(fake.bin, "python3"));
      await fails(/^python3 is not on the PATH: install Python 3 with pip/);
    });

    it("a driver that is too old, except with --device cpu", async () => {
      fake.driver("470.82.01");
      await fails(/driver must be 525.60.13 or newer for CUDA 12, got 470.82.01/);
      await fails(/or newer for CUDA 12/, { device: "cuda" });
      await run({ device: "cpu" });
      fake.calls();
    });

    it("CUDA on arm64, and CUDA libraries for the CPU", async () => {
      await fails(
        /--device must be cpu on linux arm64, got cuda: PyPI has no CUDA build/,
        { device: "cuda" },
        { arch: "arm64" },
      );
      await fails(/--device must be cpu on darwin arm64, got cuda/, { device: "cuda" }, mac);
      await fails(/--with-cuda-libs must be used with --device cuda, got cpu/, { withCudaLibs: true });
    });
  });

  describe("on macOS", () => {
    it("builds with clang++ and the dylibs of the wheel for Apple silicon, and says that it is experimental", async () => {
      fake.command("clang++", 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo addon > "$2"; shift; done; true');
      expect(await run({}, mac)).to.equal("works: tensorflow (TensorFlow 9.9.0 on cpu)");
      const [download, compile] = fake.calls();
      expect(download).to.include("--python-version 311 --platform macosx_12_0_arm64 --requirement");
      expect(compile).to.match(/^clang\+\+ .*-undefined dynamic_lookup \S+\/libtensorflow_cc\.2\.dylib /);
      expect(compile).to.match(
        /\/libtensorflow_framework\.2\.dylib -Wl,-rpath,@loader_path\/\.\.\/\.\.\/deps\/lib -o/,
      );
      expect(compile).not.to.match(/ -s /);
      expect(existsSync(inPackage("deps/lib/libtensorflow_framework.2.dylib"))).to.equal(true);
      expect(fake.lines.join("\n")).to.match(/experimental: .* has not yet run on a Mac/);
    });
  });

  describe("rejects", () => {
    it("a download that pip fails", async () => {
      fake.command("python3", '[ "$3" = --version ] || exit 1');
      await fails(/^pip failed with exit code 1, .*pip config list/);
      expect(leftovers()).to.deep.equal([]);
      expect(existsSync(library())).to.equal(false);
    });

    it("a backend that does not run", async () => {
      fake.attempt = { usable: false, reason: "loading it ended with SIGILL" };
      await fails(/installed but does not work: loading it ended with SIGILL; .*--clean removes it/);
    });
  });

  describe("for CUDA", () => {
    const onGpu = {
      usable: true,
      device: "cuda",
      description: "tensorflow (TensorFlow 9.9.0 on cuda)",
      milliseconds: 1,
    } as const;

    it("is the default with a driver, and reports the GPU", async () => {
      fake.driver("550.54.15");
      fake.attempt = onGpu;
      expect(await run()).to.equal("works: tensorflow (TensorFlow 9.9.0 on cuda) on NVIDIA H200");
    });

    it("can be installed without a GPU, and reports that it uses the CPU", async () => {
      expect(await run({ device: "cuda" })).to.match(/on cpu\): .*this machine has no NVIDIA driver/);
    });

    it("installs the libraries where libtensorflow looks for them, once", async () => {
      fake.driver("550.54.15");
      fake.attempt = onGpu;
      await run();
      fake.calls();
      await run({ withCudaLibs: true });
      expect(fake.calls().join("\n")).to.match(
        /^python3 -m pip install .*--target \S+nvidia\.\d+\.part\/pip .*--require-hashes/,
      );
      const linked = inPackage("deps/nvidia/cublas/lib/libcusolver.so.11");
      expect(readlinkSync(linked)).to.equal("../../cusolver/lib/libcusolver.so.11");
      expect(readFileSync(linked, "utf8")).to.equal("cusolver/lib/libcusolver.so.11");
      await run({ withCudaLibs: true });
      await run();
      expect(fake.calls()).to.deep.equal([]);
    });

    it("fails if TensorFlow does not use the GPU, and explains why", async () => {
      fake.driver("550.54.15");
      fake.attempt = { ...onGpu, device: "cpu", cudaMessage: "Cannot dlopen some GPU libraries" };
      await fails(
        /must use NVIDIA H200, got the CPU: TensorFlow logs "Cannot dlopen some GPU libraries"; .*--with-cuda-libs/,
      );
    });
  });

  it("explains why a GPU is not used", () => {
    const driver = { version: "550.54.15", gpus: [] };
    const why = (device: "cpu" | "cuda", cudaLibraries: string[] = [], message?: string) =>
      whyNotCuda(driver, { version: "9.9.0", device, cudaLibraries }, message);
    expect(whyNotCuda(null, null, undefined)).to.equal("this machine has no NVIDIA driver");
    expect(why("cpu")).to.match(
      /^TensorFlow was built for the CPU; run npm run setup:tensorflow -- --device cuda$/,
    );
    expect(why("cuda", [], "Cannot dlopen some GPU libraries")).to.match(
      /^TensorFlow logs "Cannot dlopen some GPU libraries"; run .* --with-cuda-libs, or check that nvidia-smi/,
    );
    expect(why("cuda", ["cublas"], "failed call to cuInit")).to.match(
      /^TensorFlow logs "failed call to cuInit"; check that nvidia-smi/,
    );
    expect(why("cuda")).to.match(/^TensorFlow logs no reason; /);
  });

  it("pins wheels and packages by names that pip understands, with complete hashes", () => {
    for (const line of Object.values(RELEASE.wheels)) {
      expect(line).to.match(/^tensorflow(?:-cpu)?==[\d.]+ --hash=sha256:[0-9a-f]{64}$/);
      expect(line).to.include(`==${RELEASE.tensorflow} `);
    }
    for (const line of RELEASE.cudaRequirements) {
      expect(line).to.match(/^nvidia-[a-z-]+-cu12==[\d.]+ --hash=sha256:[0-9a-f]{64}$/);
    }
  });

  it("compares versions by their numbers", () => {
    expect(compareVersions("525.60.13", "525.60.13")).to.equal(0);
    expect(compareVersions("525.105", "525.60.13")).to.be.above(0);
    expect(compareVersions("2.9", "2.27")).to.be.below(0);
    expect(compareVersions("2", "2.0.1")).to.be.below(0);
  });
});
