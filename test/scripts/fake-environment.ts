import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Environment } from "../../scripts/setup-tensorflow/environment.js";
import type { Release } from "../../scripts/setup-tensorflow/release.js";
import type { Attempt } from "../../scripts/setup-tensorflow/try-backend.js";

/** The files of a small package of TensorFlow. */
export const WHEEL_FILES: Readonly<Record<string, string>> = {
  "tensorflow/libtensorflow_cc.so.2": "C++".repeat(1000),
  "tensorflow/libtensorflow_framework.so.2": "framework".repeat(500),
  "tensorflow/libtensorflow_cc.2.dylib": "C++".repeat(1000),
  "tensorflow/libtensorflow_framework.2.dylib": "framework".repeat(500),
  "tensorflow/include/tensorflow/c/c_api.h": "// c_api.h",
  "tensorflow/include/tensorflow/c/eager/c_api.h": "// eager",
  "tensorflow/include/xla/tsl/c/tsl_status.h": "// status",
  "tensorflow/include/tsl/platform/ctstring.h": "// strings",
  "tensorflow/include/tensorflow/core/graph.h": "// not needed",
  "tensorflow/python/main.py": "# not needed",
};

/** A machine in a temporary directory, with fake commands and packages of a few kilobytes. */
export class FakeEnvironment {
  readonly root = mkdtempSync(join(tmpdir(), "setup-"));
  readonly bin = join(this.root, "bin");
  readonly package = join(this.root, "node_modules", "tfjs-node-gpu");
  readonly cache = join(this.root, "cache", "kv-cache-lecture", "tensorflow");
  readonly lines: string[] = [];
  readonly env: NodeJS.ProcessEnv = { PATH: this.bin };
  attempt: Attempt = {
    usable: true,
    device: "cpu",
    description: "tensorflow (TensorFlow 9.9.0 on cpu)",
    milliseconds: 1,
  };

  constructor() {
    this.write("node_modules/tfjs-node-gpu/binding/tfjs_binding.cc", "// C++");
    this.command("g++", 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo addon > "$2"; shift; done; true');
    this.command(
      "python3",
      `while [ $# -gt 0 ]; do
         if [ "$1" = --target ]; then target="$2"; fi
         if [ "$1" = --requirement ]; then list="$2"; fi
         shift
       done
       case "$(/bin/cat "$list")" in
         tensorflow*) /bin/cp -r ${this.root}/index/tensorflow "$target" ;;
         nvidia*) /bin/cp -r ${this.root}/index/nvidia "$target" ;;
       esac`,
    );
    for (const name of ["cublas/lib/libcublas.so.12", "cusolver/lib/libcusolver.so.11"]) {
      this.write(`index/nvidia/${name}`, name);
    }
    for (const [name, content] of Object.entries(WHEEL_FILES)) this.write(`index/${name}`, content);
  }

  /** The environment that is passed to the setup. */
  environment(changes: Partial<Environment> = {}): Environment {
    return {
      cache: this.cache,
      package: this.package,
      env: this.env,
      platform: "linux",
      arch: "x64",
      glibc: "2.36",
      release: this.release,
      signal: new AbortController().signal,
      log: (line) => void this.lines.push(line),
      tryBackend: async () => this.attempt,
      ...changes,
    };
  }

  readonly release: Release = {
    tensorflow: "9.9.0",
    tfjs: "4.22.0",
    wheels: {
      "cpu-linux-x64": `tensorflow-cpu==9.9.0 --hash=sha256:${"0".repeat(64)}`,
      "cuda-linux-x64": `tensorflow==9.9.0 --hash=sha256:${"0".repeat(64)}`,
      "cpu-linux-arm64": `tensorflow==9.9.0 --hash=sha256:${"0".repeat(64)}`,
      "cpu-darwin-arm64": `tensorflow==9.9.0 --hash=sha256:${"0".repeat(64)}`,
    },
    glibc: "2.27",
    driver: "525.60.13",
    cudaRequirements: [`nvidia-cublas-cu12==12.9.3.13 --hash=sha256:${"0".repeat(64)}`],
  };

  /** Adds a command to the PATH that logs its calls. */
  command(name: string, script: string): void {
    const path = this.write(`bin/${name}`, `#!/bin/sh\necho "${name} $*" >> ${this.root}/calls\n${script}\n`);
    chmodSync(path, 0o755);
  }

  /** Adds an NVIDIA driver of this version, with one GPU. */
  driver(version: string): void {
    this.command("nvidia-smi", `echo "${version}, NVIDIA H200, 143771, 143000, 9.0"`);
  }

  /** The commands called since the last time, without those that change nothing. */
  calls(): string[] {
    const lines = this.log().trim().split("\n");
    rmSync(join(this.root, "calls"), { force: true });
    return lines.filter((line) => line !== "" && !/--version|^nvidia-smi/.test(line));
  }

  /** True if such a command has been called since then. */
  hasCalled(call: RegExp): boolean {
    return call.test(this.log());
  }

  private log(): string {
    const path = join(this.root, "calls");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  write(path: string, content: string | Buffer): string {
    const full = join(this.root, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, content);
    return full;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
