import { existsSync } from "node:fs";
import { readdir, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Device } from "../../src/backend/backend.js";
import type { NvidiaDriver } from "../../src/backend/nvidia.js";
import { findLibraries } from "../../src/util/shared-libraries.js";
import type { Environment } from "./environment.js";
import { installPackages } from "./pip.js";

/** The libraries that TensorFlow opens when it finds a GPU; if one is missing, it computes on the CPU. */
const CUDA_LIBRARIES = [
  "libcudart.so.12",
  "libcublas.so.12",
  "libcublasLt.so.12",
  "libcufft.so.11",
  "libcusolver.so.11",
  "libcusparse.so.12",
  "libcudnn.so.9",
] as const;

/** Installs NVIDIA's libraries, each in the directory where libtensorflow looks for it (`../nvidia/NAME/lib`). */
export async function installCudaLibraries(directory: string, environment: Environment): Promise<void> {
  await installPackages(environment.release.cudaRequirements, directory, environment, async (files) => {
    for (const name of await readdir(join(files, "nvidia"))) {
      await rename(join(files, "nvidia", name), join(directory, name));
    }
  });
  // libtensorflow_framework looks in every directory but cusolver's, and then does not use the GPU.
  const solver = join("..", "..", "cusolver", "lib", "libcusolver.so.11");
  if (existsSync(join(directory, "cublas", "lib"))) {
    await symlink(solver, join(directory, "cublas", "lib", "libcusolver.so.11"));
  }
}

/** The CUDA libraries that TensorFlow would find neither in its package nor on the system. */
export async function missingCudaLibraries(
  packageDirectory: string,
  env: NodeJS.ProcessEnv,
): Promise<string[]> {
  const nvidia = join(packageDirectory, "deps", "nvidia");
  const directories = (await readdir(nvidia).catch(() => [])).map((name) => join(nvidia, name, "lib"));
  const found = await findLibraries(CUDA_LIBRARIES, env, directories);
  return CUDA_LIBRARIES.filter((name) => !found.get(name));
}

/** The facts that decide whether TensorFlow uses a GPU. */
export interface CudaFacts {
  readonly driver: NvidiaDriver | null | undefined;
  /** The device that the installed TensorFlow was built for; null if setup did not install it. */
  readonly device: Device | null;
  /** The CUDA libraries that it would not find. */
  readonly missingLibraries: readonly string[];
  /** Its own log message, see `tryBackend`. */
  readonly message: string | undefined;
}

/** The reason why TensorFlow computes on the CPU, and what to do about it. */
export function whyNotCuda({ driver, device, missingLibraries, message }: CudaFacts): string {
  const setup = "npm run setup:tensorflow -- --device cuda";
  if (!driver) return "this machine has no NVIDIA driver";
  if (device === "cpu") return `TensorFlow was built for the CPU; run ${setup}`;
  if (missingLibraries.length > 0) {
    return `TensorFlow cannot open ${missingLibraries.join(", ")}; run ${setup} --with-cuda-libs`;
  }
  const log = message ? `TensorFlow logs "${message}"` : "TensorFlow logs no reason";
  return `${log}; check that nvidia-smi lists the GPU`;
}
