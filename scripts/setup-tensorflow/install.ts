import { readdir, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Artifact, isComplete, linkArtifact, removeLeftovers, sourceOf } from "./artifacts.js";
import type { Environment } from "./environment.js";

// Directories in TensorFlow.js's package, by those in the cache. The addon looks for libtensorflow in ../../deps/lib, and
// libtensorflow for CUDA's libraries in ../nvidia.
const TARGETS: Readonly<Record<string, string>> = {
  deps: "deps",
  nvidia: join("deps", "nvidia"),
  lib: "lib",
};

const targetOf = ({ directory }: Artifact, environment: Environment): string =>
  join(environment.package, TARGETS[basename(directory)]!);

/** True if node_modules has all of these artifacts, complete. */
export async function isInstalled(
  artifacts: readonly Artifact[],
  environment: Environment,
): Promise<boolean> {
  for (const artifact of artifacts) {
    if (!(await isComplete(targetOf(artifact, environment), artifact.source))) return false;
  }
  return true;
}

/** Replaces the native part in node_modules by these artifacts, in this order. */
export async function install(artifacts: readonly Artifact[], environment: Environment): Promise<void> {
  await uninstall(environment);
  for (const artifact of artifacts) {
    environment.signal.throwIfAborted();
    await linkArtifact(artifact.directory, targetOf(artifact, environment));
  }
}

/** Removes the native part from node_modules; the addon first, without which the backend counts as not installed. */
async function uninstall({ package: tfjs }: Environment): Promise<void> {
  await removeLeftovers(tfjs);
  for (const name of ["lib", "deps"]) await rm(join(tfjs, name), { recursive: true, force: true });
}

/** Undoes the setup: removes the native part from node_modules, and the cache. */
export async function clean(environment: Environment): Promise<void> {
  const { cache, log } = environment;
  await uninstall(environment);
  const parent = dirname(cache);
  await rm(cache, { recursive: true, force: true });
  await rm(join(parent, "compiled"), { recursive: true, force: true }); // XLA's compiled programs
  if ((await readdir(parent).catch(() => ["?"])).length === 0) await rmdir(parent);
  log(`removed the native part of TensorFlow.js from node_modules, and ${cache}`);
}

/** The sources of the artifacts that are installed in TensorFlow.js's package. */
export async function installedSources(packageDirectory: string) {
  const source = async (name: string) => sourceOf(join(packageDirectory, TARGETS[name]!));
  return { library: await source("deps"), cuda: await source("nvidia") };
}
