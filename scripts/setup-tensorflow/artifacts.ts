import { constants } from "node:fs";
import fs from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { isRunning } from "../../src/util/is-running.js";

/**
 * A directory that is either complete or absent: it is made under a temporary name, gets a stamp with its source and the
 * sizes of its files, and is renamed. An interrupted run leaves at most a `.part` directory.
 */
export interface Artifact {
  readonly directory: string;
  /** Identifies what it is made from. */
  readonly source: string;
  /** Fills a directory on the same file system. */
  make(part: string): Promise<void>;
}

const STAMP = "stamp.json";

interface Stamp {
  readonly source: string;
  /** Sizes by path. */
  readonly files: Readonly<Record<string, number>>;
}

/** Makes an artifact. */
export function makeArtifact({ directory, source, make }: Artifact): Promise<void> {
  return atomically(directory, async (part) => {
    await make(part);
    const files: Record<string, number> = {};
    for (const entry of await fs.readdir(part, { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory()) continue;
      const path = join(entry.parentPath, entry.name);
      files[relative(part, path)] = (await fs.stat(path)).size;
    }
    const stamp = JSON.stringify({ source, files } satisfies Stamp, null, 2);
    await fs.writeFile(join(part, STAMP), `${stamp}\n`);
  });
}

/**
 * Installs a complete artifact in a second directory. On the same file system its files are hard links, which take no
 * space and survive the removal of the first; elsewhere they are copies.
 */
export function linkArtifact(from: string, to: string): Promise<void> {
  return atomically(to, async (part) => {
    const files = Object.keys((await readStamp(from))?.files ?? {});
    for (const path of [...files, STAMP]) {
      const [source, target] = [join(from, path), join(part, path)];
      await fs.mkdir(dirname(target), { recursive: true });
      const linkTarget = await fs.readlink(source).catch(() => undefined);
      if (linkTarget !== undefined) await fs.symlink(linkTarget, target);
      else await fs.link(source, target).catch(() => fs.copyFile(source, target, constants.COPYFILE_FICLONE));
    }
  });
}

async function atomically(directory: string, fill: (part: string) => Promise<void>): Promise<void> {
  const part = partOf(directory);
  try {
    await fs.rm(part, { recursive: true, force: true });
    await fs.mkdir(part, { recursive: true });
    await fill(part);
    await fs.rm(directory, { recursive: true, force: true });
    await fs.rename(part, directory);
  } finally {
    await fs.rm(part, { recursive: true, force: true });
  }
}

/** The temporary name of a file or directory until it is complete; `removeLeftovers` recognizes it. */
export const partOf = (path: string): string => `${path}.${process.pid}.part`;

/** Removes temporary directories of killed runs; those of running processes stay. */
export async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await fs.readdir(directory).catch(() => [])) {
    const pid = /\.(\d+)\.part$/.exec(name)?.[1];
    if (pid && !isRunning(Number(pid))) await fs.rm(join(directory, name), { recursive: true, force: true });
  }
}

/** True if the artifact was made from this source and has all its files in their sizes. */
export async function isComplete(directory: string, source: string): Promise<boolean> {
  const stamp = await readStamp(directory);
  if (stamp?.source !== source) return false;
  for (const [path, size] of Object.entries(stamp.files)) {
    const file = await fs.stat(join(directory, path)).catch(() => undefined);
    if (file?.size !== size) return false;
  }
  return true;
}

/** The source of an artifact; undefined if it does not exist. */
export async function sourceOf(directory: string): Promise<string | undefined> {
  return (await readStamp(directory))?.source;
}

async function readStamp(directory: string): Promise<Stamp | undefined> {
  try {
    return JSON.parse(await fs.readFile(join(directory, STAMP), "utf8")) as Stamp;
  } catch {
    return undefined;
  }
}
