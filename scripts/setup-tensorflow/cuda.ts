import { readdir, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Device } from "../../src/backend/backend.js";
import type { NvidiaDriver } from "../../src/backend/nvidia.js";
import type { Environment } from "./environment.js";
import { pip } from "./pip.js";

/** Installs NVIDIA's libraries, each in the directory where libtensorflow looks for it (`../nvidia/NAME/lib`). */
export async function installCudaLibraries(directory: string, environment: Environment): Promise<void> {
  const unpacked = join(directory, "pip");
  await pip(environment.release.cudaRequirements, unpacked, environment);
  for (const name of await readdir(join(unpacked, "nvidia"))) {
    await rename(join(unpacked, "nvidia", name), join(directory, name));
  }
  await rm(unpacked, { recursive: true });
  // libtensorflow_framework looks in every directory but cusolver's, and then does not use the GPU.
  const solver = join("cusolver", "lib", "libcusolver.so.11");
  await symlink(join("..", "..", solver), join(directory, "cublas", "lib", "libcusolver.so.11"));
}

/** The native part of the tensorflow backend, see `nativePart`. */
export type NativePart = Awaited<ReturnType<typeof nativePart>>;

/**
 * Describes the native part that TensorFlow.js's package has. Version and device are null if the setup has not installed
 * it. `cudaLibraries` are NVIDIA's beside it, such as "cublas": none if the system's are used.
 */
export async function nativePart(tfjs: string) {
  const target = await readlink(join(tfjs, "deps")).catch(() => "");
  const [, version, device] = /tensorflow-([\d.]+)-(cpu|cuda)-/.exec(target) ?? [];
  const cudaLibraries = await readdir(join(tfjs, "deps", "nvidia")).catch(() => []);
  return { version: version ?? null, device: (device as Device | undefined) ?? null, cudaLibraries };
}

/**
 * The reason why TensorFlow computes on the CPU, and what to do about it.
 *
 * @param installed the native part; null if it is not installed
 * @param message   TensorFlow's log message, see `tryBackend`
 */
export function whyNotCuda(
  driver: NvidiaDriver | null | undefined,
  installed: NativePart | null,
  message: string | undefined,
): string {
  const setup = "npm run setup:tensorflow -- --device cuda";
  if (!driver) return "this machine has no NVIDIA driver";
  if (installed?.device === "cpu") return `TensorFlow was built for the CPU; run ${setup}`;
  const log = message ? `TensorFlow logs "${message}"` : "TensorFlow logs no reason";
  const ownLibraries = installed && installed.cudaLibraries.length > 0;
  return `${log}; ${ownLibraries ? "" : `run ${setup} --with-cuda-libs, or `}check that nvidia-smi lists the GPU`;
}
