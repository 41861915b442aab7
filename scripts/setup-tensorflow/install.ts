import { createHash } from "node:crypto";
import { mkdir, rename, rm, rmdir, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Device } from "../../src/backend/backend.js";
import type { Environment } from "./environment.js";

/** The directories of TensorFlow.js's package that are linked to the cache; the backend is installed if it has lib. */
const LINKS = ["deps", "lib"];

/** The directory of the cache for a device and the release's pinned versions. */
export function buildDirectory(device: Device, { cache, platform, arch, release }: Environment): string {
  const pins = createHash("sha256").update(JSON.stringify(release)).digest("hex").slice(0, 8);
  return join(cache, `tensorflow-${release.tensorflow}-${device}-${platform}-${arch}-${pins}`);
}

/** Makes a directory under a temporary name and renames it, so that it is either complete or absent. */
export async function makeDirectory(directory: string, fill: (part: string) => Promise<void>): Promise<void> {
  const part = `${directory}.${process.pid}.part`;
  try {
    await mkdir(part, { recursive: true });
    await fill(part);
    await rename(part, directory);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/** Links the package to a directory of the cache. */
export async function link(directory: string, { package: tfjs }: Environment): Promise<void> {
  await unlink(tfjs);
  for (const name of LINKS) await symlink(join(directory, name), join(tfjs, name));
}

async function unlink(tfjs: string): Promise<void> {
  for (const name of LINKS.toReversed()) await rm(join(tfjs, name), { recursive: true, force: true });
}

/** Undoes the setup: removes the links from node_modules, and the cache. */
export async function clean({ cache, package: tfjs, log }: Environment): Promise<void> {
  await unlink(tfjs);
  const parent = dirname(cache);
  await rm(cache, { recursive: true, force: true });
  await rm(join(parent, "compiled"), { recursive: true, force: true }); // XLA's compiled programs
  await rmdir(parent).catch(() => {}); // absent, or has other files
  log(`removed the native part of TensorFlow.js from node_modules, and ${cache}`);
}
