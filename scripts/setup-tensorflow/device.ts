import { InputError } from "../../src/util/errors.js";
import type { Device } from "../../src/backend/backend.js";
import { compareVersions } from "../../src/util/run-command.js";
import type { NvidiaDriver } from "../../src/backend/nvidia.js";
import type { Place } from "./place.js";

const INSTEAD = "use --backend wasm, which needs nothing more";

/** Why TensorFlow's native backend cannot be installed on this platform; undefined where it can. */
export function platformProblem({
  platform,
  arch,
  glibc,
  release,
}: Pick<Place, "platform" | "arch" | "glibc" | "release">): string | undefined {
  if (platform !== "linux" || !release.wheels[`cpu-${arch}`]) {
    return `the native backend is made for Linux on x64 and arm64, and this is ${platform} on ${arch}: ${INSTEAD}`;
  }
  if (!glibc) return `TensorFlow is built for glibc, and this system has another C library: ${INSTEAD}`;
  if (compareVersions(glibc, release.glibc) < 0) {
    return `TensorFlow needs glibc ${release.glibc} or newer, and this system has ${glibc}: ${INSTEAD}`;
  }
  return undefined;
}

/**
 * The device to install for.
 *
 * @param wanted undefined takes CUDA where there is a driver
 * @throws InputError when it cannot be had here
 */
export function chooseDevice(
  wanted: Device | undefined,
  driver: NvidiaDriver | undefined,
  { arch, release }: Place,
): Device {
  const hasCudaBuild = release.wheels[`cuda-${arch}`] !== undefined;
  if (wanted === "cuda" && !hasCudaBuild) {
    throw new InputError(`--device cuda: PyPI has no CUDA build of TensorFlow for ${arch}: use --device cpu`);
  }
  const device = wanted ?? (driver && hasCudaBuild ? "cuda" : "cpu");
  if (device === "cuda" && driver?.version && compareVersions(driver.version, release.driver) < 0) {
    throw new InputError(
      `the NVIDIA driver ${driver.version} is too old for CUDA 12, which needs ${release.driver} or newer: ` +
        "update the driver, or use --device cpu",
    );
  }
  return device;
}
