import { existsSync } from "node:fs";
import { readdir, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { findLibraries } from "../../src/util/shared-libraries.js";
import { installPackages } from "./pip.js";
import type { Place } from "./place.js";

/** What TensorFlow opens when it finds a card; if one is missing, it computes on the CPU. */
export const CUDA_LIBRARIES = [
  "libcudart.so.12",
  "libcublas.so.12",
  "libcublasLt.so.12",
  "libcufft.so.11",
  "libcusolver.so.11",
  "libcusparse.so.12",
  "libcudnn.so.9",
] as const;

/** Brings NVIDIA's libraries: one directory each, where libtensorflow looks for them (`../nvidia/NAME/lib`). */
export async function bringCudaLibraries(directory: string, place: Place): Promise<void> {
  const { cudaLibraries, cudaDownloadBytes, cudaLibraryBytes } = place.release;
  const bytes = cudaDownloadBytes + cudaLibraryBytes; // pip writes both
  const title = `downloading and unpacking ${cudaLibraries.length} packages of CUDA 12 libraries`;
  await installPackages(cudaLibraries, title, bytes, directory, place, async (files) => {
    for (const name of await readdir(join(files, "nvidia"))) {
      await rename(join(files, "nvidia", name), join(directory, name));
    }
  });
  // libtensorflow_framework looks everywhere but in cusolver's directory, and then refuses the card.
  const solver = join("..", "..", "cusolver", "lib", "libcusolver.so.11");
  if (existsSync(join(directory, "cublas", "lib"))) {
    await symlink(solver, join(directory, "cublas", "lib", "libcusolver.so.11"));
  }
}

/** Those of the CUDA libraries that TensorFlow would not find, in its package or on the system. */
export async function missingCudaLibraries(
  packageDirectory: string,
  env: NodeJS.ProcessEnv,
): Promise<string[]> {
  const nvidia = join(packageDirectory, "deps", "nvidia");
  const names = await readdir(nvidia).catch(() => []);
  const found = await findLibraries(
    CUDA_LIBRARIES,
    env,
    names.map((name) => join(nvidia, name, "lib")),
  );
  return CUDA_LIBRARIES.filter((name) => !found.get(name));
}
