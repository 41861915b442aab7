import { constants } from "node:fs";
import {
  copyFile,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { isRunning } from "../../src/util/is-running.js";

/*
 * A piece is a directory that is either whole or not there: it is made under another name, gets a stamp of what it was
 * made from and of the sizes of its files, and is renamed. Whatever is interrupted leaves nothing but a `.part`.
 */
const STAMP = "stamp.json";

interface Stamp {
  readonly source: string;
  readonly files: Readonly<Record<string, number>>;
}

/** Makes a piece: `make` fills the directory that it is given, on the same file system as the piece. */
export async function makePiece(
  directory: string,
  source: string,
  make: (part: string) => Promise<void>,
): Promise<void> {
  const part = partOf(directory);
  try {
    await rm(part, { recursive: true, force: true });
    await mkdir(part, { recursive: true });
    await make(part);
    const files: Record<string, number> = {};
    for (const path of await filesOf(part)) files[relative(part, path)] = (await stat(path)).size;
    await writeFile(join(part, STAMP), `${JSON.stringify({ source, files } satisfies Stamp, null, 2)}\n`);
    await rm(directory, { recursive: true, force: true });
    await rename(part, directory);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/** The name that something has until it is whole; `removeLeftovers` knows it. */
export const partOf = (path: string): string => `${path}.${process.pid}.part`;

/** Whether the piece is there, made from this source, and each of its files has its size. */
export async function isWhole(directory: string, source: string): Promise<boolean> {
  const stamp = await readStamp(directory);
  if (stamp?.source !== source) return false;
  for (const [path, size] of Object.entries(stamp.files)) {
    const found = await stat(join(directory, path)).catch(() => undefined);
    if (found?.size !== size) return false;
  }
  return true;
}

/** What a piece was made from; undefined when it is not there. */
export async function sourceOf(directory: string): Promise<string | undefined> {
  return (await readStamp(directory))?.source;
}

async function readStamp(directory: string): Promise<Stamp | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, STAMP), "utf8")) as Stamp;
  } catch {
    return undefined;
  }
}

/** All files below a directory. */
async function filesOf(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
}

/** The bytes of all files below a directory, 0 where there is none; files may come and go meanwhile. */
export async function bytesOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const path of await filesOf(directory).catch(() => [])) {
    bytes += (await lstat(path).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}

/**
 * Puts a whole piece at another place too. Its files are hard links where both places are on one file system: they
 * take no room, and stay when their other name is deleted. Elsewhere they are copies.
 */
export async function linkPiece(from: string, to: string): Promise<void> {
  const part = partOf(to);
  try {
    await rm(part, { recursive: true, force: true });
    const files = Object.keys((await readStamp(from))?.files ?? {});
    for (const path of [...files, STAMP]) {
      const [source, target] = [join(from, path), join(part, path)];
      await mkdir(dirname(target), { recursive: true });
      const pointsTo = await readlink(source).catch(() => undefined);
      if (pointsTo === undefined) await linkOrCopy(source, target);
      else await symlink(pointsTo, target);
    }
    await rm(to, { recursive: true, force: true });
    await rename(part, to);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to, constants.COPYFILE_FICLONE));
}

/** Removes what killed runs have left in a directory; a run that is still going keeps its own. */
export async function removeLeftovers(directory: string): Promise<void> {
  for (const path of await readdir(directory).catch(() => [])) {
    const pid = /\.(\d+)\.part$/.exec(basename(path))?.[1];
    if (pid && !isRunning(Number(pid))) await rm(join(directory, path), { recursive: true, force: true });
  }
}
