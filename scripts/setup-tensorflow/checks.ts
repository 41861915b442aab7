import { mkdir, stat } from "node:fs/promises";
import type { Device } from "../../src/backend/backend.js";
import type { NvidiaDriver } from "../../src/backend/nvidia.js";
import { InputError } from "../../src/util/errors.js";
import { compareVersions, lastLine, run } from "../../src/util/run-command.js";
import { compilerOf } from "./addon.js";
import type { Environment } from "./environment.js";
import type { Wheel } from "./release.js";

/** The reason why TensorFlow's native part cannot be installed on this platform; undefined if it can. */
export function platformProblem(
  environment: Pick<Environment, "platform" | "arch" | "glibc" | "release">,
): string | undefined {
  const { platform, arch, glibc, release } = environment;
  if (platform !== "linux" || !release.wheels[`cpu-${arch}`]) {
    return `the platform must be Linux on x64 or arm64, got ${platform} on ${arch}: use --backend wasm`;
  }
  if (!glibc || compareVersions(glibc, release.glibc) < 0) {
    return `the C library must be glibc ${release.glibc} or newer, got ${glibc ?? "another one"}: use --backend wasm`;
  }
  return undefined;
}

/**
 * The device to install for: CUDA where there is a driver, unless one is required.
 *
 * @throws InputError if it is not supported here
 */
export function chooseDevice(
  required: Device | undefined,
  driver: NvidiaDriver | undefined,
  { arch, release }: Environment,
): Device {
  const hasCudaBuild = release.wheels[`cuda-${arch}`] !== undefined;
  if (required === "cuda" && !hasCudaBuild) {
    throw new InputError(
      `--device must be cpu on ${arch}, got cuda: PyPI has no CUDA build of TensorFlow for it`,
    );
  }
  const device = required ?? (driver && hasCudaBuild ? "cuda" : "cpu");
  if (device === "cuda" && driver?.version && compareVersions(driver.version, release.driver) < 0) {
    throw new InputError(
      `the NVIDIA driver must be ${release.driver} or newer for CUDA 12, got ${driver.version}: ` +
        "update it, or use --device cpu",
    );
  }
  return device;
}

/** Throws an InputError without a C++ compiler. */
export async function checkCompiler({ env, signal }: Environment): Promise<void> {
  const [compiler, ...args] = compilerOf(env);
  const { ok, missing, stderr, end } = await run(compiler, [...args, "--version"], env, signal);
  if (ok) return;
  throw new InputError(
    `the C++ compiler ${compiler} ${missing ? "is not on the PATH" : `does not work ("${lastLine(stderr) || end}")`}: ` +
      "install one (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++) or name one in CXX",
  );
}

/** Throws an InputError without pip, which downloads with the user's index, proxy and certificates. */
export async function checkPip({ env, signal }: Environment, wheel: Wheel): Promise<void> {
  const { ok, missing, stderr } = await run("python3", ["-m", "pip", "--version"], env, signal);
  if (ok) return;
  const [problem, remedy] = missing
    ? ["python3 is not on the PATH", "install Python 3 with pip"]
    : [`python3 has no working pip ("${lastLine(stderr)}")`, "run apt install python3-pip (Debian, Ubuntu)"];
  throw new InputError(
    `${problem}, which downloads TensorFlow: ${remedy}, or download ${wheel.file} elsewhere and pass it with --from`,
  );
}

/**
 * Throws an InputError if there is not enough disk space.
 *
 * @param cacheBytes   needed at one time in the cache
 * @param packageBytes of the copy in node_modules, needed only if that is another file system
 */
export async function checkDiskSpace(
  environment: Environment,
  cacheBytes: number,
  packageBytes: number,
): Promise<void> {
  const { cache, package: modules } = environment;
  await mkdir(cache, { recursive: true });
  const copies = (await stat(cache)).dev !== (await stat(modules)).dev;
  const needs: [directory: string, bytes: number, remedy: string][] = [
    [cache, cacheBytes, "set XDG_CACHE_HOME to a larger disk"],
    [modules, copies ? packageBytes : 0, "move the repository to a larger disk"],
  ];
  for (const [directory, bytes, remedy] of needs) {
    const free = await environment.freeBytes(directory);
    if (free >= bytes) continue;
    throw new InputError(
      `free disk space in ${directory} must be at least ${size(bytes)}, got ${size(free)}: free some, or ${remedy}`,
    );
  }
  environment.log(`needs up to ${size(cacheBytes)} in ${cache}`);
}

/** "274 MB", "1.13 GB", in millions and billions of bytes. */
const size = (bytes: number): string =>
  bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
