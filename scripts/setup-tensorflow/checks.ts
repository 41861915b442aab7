import type { Device } from "../../src/backend/backend.js";
import type { NvidiaDriver } from "../../src/backend/nvidia.js";
import { InputError } from "../../src/util/errors.js";
import { compareVersions, lastLine, run } from "../../src/util/run-command.js";
import type { Environment } from "./environment.js";
import { wheelName } from "./release.js";

/** The reason why TensorFlow's native part cannot be installed on this platform; undefined if it can. */
export function platformProblem({
  platform,
  arch,
  glibc,
  release,
}: Pick<Environment, "platform" | "arch" | "glibc" | "release">): string | undefined {
  if (!release.wheels[wheelName("cpu", { platform, arch })]) {
    const platforms = "Linux on x64 or arm64, or macOS on arm64";
    const remedy = platform === "win32" ? "use WSL2, or --backend wasm" : "use --backend wasm";
    return `the platform must be ${platforms}, got ${platform} on ${arch}: ${remedy}`;
  }
  if (platform !== "linux") return undefined;
  if (glibc && compareVersions(glibc, release.glibc) >= 0) return undefined;
  return `the C library must be glibc ${release.glibc} or newer, got ${glibc ?? "another one"}: use --backend wasm`;
}

/**
 * The device to install for: CUDA where there is a driver, unless one is required.
 *
 * @throws InputError if it is not supported here
 */
export function chooseDevice(
  required: Device | undefined,
  driver: NvidiaDriver | undefined,
  environment: Environment,
): Device {
  const { platform, arch, release } = environment;
  const unsupported = platformProblem(environment);
  if (unsupported) throw new InputError(unsupported);
  const hasCudaBuild = release.wheels[wheelName("cuda", environment)] !== undefined;
  const device = required ?? (driver && hasCudaBuild ? "cuda" : "cpu");
  if (device === "cuda" && !hasCudaBuild) {
    throw new InputError(
      `--device must be cpu on ${platform} ${arch}, got cuda: PyPI has no CUDA build of TensorFlow for it`,
    );
  }
  if (device === "cuda" && driver?.version && compareVersions(driver.version, release.driver) < 0) {
    throw new InputError(
      `the NVIDIA driver must be ${release.driver} or newer for CUDA 12, got ${driver.version}: ` +
        "update it, or use --device cpu",
    );
  }
  return device;
}

/** Throws an InputError with the remedy unless a command works. */
export async function checkCommand(
  [program, ...args]: readonly [string, ...string[]],
  remedy: string,
  { env, signal }: Environment,
): Promise<void> {
  const { ok, missing, stderr, end } = await run(program, [...args, "--version"], env, signal);
  if (ok) return;
  const problem = missing
    ? `${program} is not on the PATH`
    : `${[program, ...args].join(" ")} does not work ("${lastLine(stderr) || end}")`;
  throw new InputError(`${problem}: ${remedy}`);
}
