import { existsSync } from "node:fs";
import { readdir, readlink, rename, symlink } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { Device } from "../../src/backend/backend.js";
import type { NvidiaDriver } from "../../src/backend/nvidia.js";
import { run } from "../../src/util/run-command.js";
import type { Environment } from "./environment.js";
import { pip } from "./wheel.js";

/** The libraries that TensorFlow opens when it finds a GPU; if one is missing, it computes on the CPU. */
const CUDA_LIBRARIES = [
  "libcudart.so.12",
  "libcublas.so.12",
  "libcublasLt.so.12",
  "libcufft.so.11",
  "libcusolver.so.11",
  "libcusparse.so.12",
  "libcudnn.so.9",
];

/** Installs NVIDIA's libraries, each in the directory where libtensorflow looks for it (`../nvidia/NAME/lib`). */
export async function installCudaLibraries(directory: string, environment: Environment): Promise<void> {
  const platforms = ["manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"];
  const target = ["--python-version", "311", ...platforms.flatMap((platform) => ["--platform", platform])];
  const command = ["install", "--no-compile", ...target, "--target"];
  await pip(command, environment.release.cudaRequirements, directory, environment, async (files) => {
    for (const name of await readdir(join(files, "nvidia"))) {
      await rename(join(files, "nvidia", name), join(directory, name));
    }
  });
  // libtensorflow_framework looks in every directory but cusolver's, and then does not use the GPU.
  const solver = join("cusolver", "lib", "libcusolver.so.11");
  await symlink(join("..", "..", solver), join(directory, "cublas", "lib", "libcusolver.so.11"));
}

/** The native part of the tensorflow backend, see `nativePart`. */
export type NativePart = Awaited<ReturnType<typeof nativePart>>;

/**
 * Describes the native part that TensorFlow.js's package has. Version and device are null if the setup has not installed
 * it. `cudaLibraries` are NVIDIA's beside it, such as "cublas": none if the system's are used. `missingCudaLibraries` are
 * those that a CUDA build would find neither there nor on the system.
 */
export async function nativePart(tfjs: string, env: NodeJS.ProcessEnv) {
  const target = await readlink(join(tfjs, "deps")).catch(() => "");
  const [, version, device] = /tensorflow-([\d.]+)-(cpu|cuda)-/.exec(target) ?? [];
  const nvidia = join(tfjs, "deps", "nvidia");
  const cudaLibraries = await readdir(nvidia).catch(() => []);
  const directories = cudaLibraries.map((name) => join(nvidia, name, "lib"));
  const needed = device === "cuda" ? CUDA_LIBRARIES : [];
  return {
    version: version ?? null,
    device: (device as Device | undefined) ?? null,
    cudaLibraries,
    missingCudaLibraries: await missingLibraries(needed, env, directories),
  };
}

/**
 * Looks for libraries where the dynamic linker would: in LD_LIBRARY_PATH, in the given directories, in the linker's
 * cache. Returns the names of those that are missing.
 */
async function missingLibraries(
  names: readonly string[],
  env: NodeJS.ProcessEnv,
  directories: readonly string[],
): Promise<string[]> {
  const listed = (env["LD_LIBRARY_PATH"] ?? "").split(delimiter).filter((directory) => directory !== "");
  const withSbin = { ...env, PATH: `${env["PATH"] ?? ""}:/usr/sbin:/sbin` };
  const { stdout } = await run("ldconfig", ["-p"], withSbin); // "	libm.so.6 (libc6,x86-64) => /lib/libm.so.6"
  const cached = new Map(stdout.split("\n").map((line) => [line.trim().split(" ")[0], line.split("=> ")[1]]));
  return names.filter((name) => {
    const paths = [...listed, ...directories].map((directory) => join(directory, name));
    return ![...paths, cached.get(name) ?? ""].some((path) => existsSync(path));
  });
}

/**
 * The reason why TensorFlow computes on the CPU, and what to do about it.
 *
 * @param installed the native part; null if it is not installed
 * @param message   TensorFlow's log message, see `tryBackend`
 */
export function whyNotCuda(
  driver: NvidiaDriver | null | undefined,
  installed: Pick<NativePart, "device" | "missingCudaLibraries"> | null,
  message: string | undefined,
): string {
  const setup = "npm run setup:tensorflow -- --device cuda";
  if (!driver) return "this machine has no NVIDIA driver";
  if (installed?.device === "cpu") return `TensorFlow was built for the CPU; run ${setup}`;
  if (installed?.missingCudaLibraries.length) {
    return `TensorFlow cannot open ${installed.missingCudaLibraries.join(", ")}; run ${setup} --with-cuda-libs`;
  }
  const log = message ? `TensorFlow logs "${message}"` : "TensorFlow logs no reason";
  return `${log}; check that nvidia-smi lists the GPU`;
}
