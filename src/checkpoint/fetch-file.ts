import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { InputError } from "../errors.js";
import { Dropped, type Hub, type HubFile } from "./hub.js";

/** Tries for a file without a single byte of progress. */
const TRIES = 5;

/** Where a file is put, and how patiently. */
export interface FetchOptions {
  readonly directory: string;
  /** Milliseconds before the second try after a lost connection; doubled for each later one. */
  readonly retryDelay?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Downloads one file, or what is missing of it. It has its name only when it is whole and its hash is right; until then
 * it is `NAME.HASH.part`, where the next call goes on, and where another one at the same time writes the same bytes.
 *
 * @param onDone is told how many bytes are there
 * @throws InputError when the network fails, the disk is full, or the hash is wrong; the signal's reason
 */
export async function fetchFile(
  hub: Hub,
  file: HubFile,
  { directory, signal, retryDelay = 1000 }: FetchOptions,
  onDone: (bytes: number) => void,
): Promise<void> {
  const path = join(directory, file.path);
  const part = partOf(path, file);
  await mkdir(dirname(path), { recursive: true }).catch(explainDisk(directory));
  for (let tries = 1; ; tries++) {
    if (await isWhole(path, file, signal)) return onDone(file.size);
    const before = (await sizeOf(part)) ?? 0;
    try {
      const hash = await complete(hub, file, part, signal, onDone);
      const digest = hash.digest("hex");
      if (digest !== expectedHash(file)) {
        await rm(part, { force: true });
        throw new InputError(
          `${file.path} has the hash ${digest}, expected ${expectedHash(file)}; it was deleted, try again`,
        );
      }
      await rename(part, path).catch(async (error: unknown) => {
        if ((await sizeOf(path)) !== file.size) explainDisk(path)(error); // else another download came first
      });
      return;
    } catch (error) {
      if (!(error instanceof Dropped)) throw error;
      if (((await sizeOf(part)) ?? 0) > before) tries = 0;
      if (tries >= TRIES) throw error;
      await sleep(retryDelay * 2 ** tries, undefined, signal ? { signal } : {}).catch(() =>
        signal?.throwIfAborted(),
      );
    }
  }
}

/** Adds to a part what is missing; returns the hash of all of it. */
async function complete(
  hub: Hub,
  file: HubFile,
  part: string,
  signal: AbortSignal | undefined,
  onDone: (bytes: number) => void,
): Promise<Hash> {
  const output = await open(part, constants.O_RDWR | constants.O_CREAT).catch(explainDisk(part));
  try {
    let done = (await output.stat()).size;
    if (done > file.size) {
      await output.truncate();
      done = 0;
    }
    const hash = await hashOf(output, file, done, signal);
    onDone(done);
    if (done === file.size) return hash;
    for await (const chunk of hub.bytes(file, done)) {
      signal?.throwIfAborted();
      if (done + chunk.length > file.size)
        throw new InputError(`${file.path} has more than the ${file.size} bytes that were listed`);
      await writeAt(output, chunk, done).catch(explainDisk(part));
      hash.update(chunk);
      done += chunk.length;
      onDone(done);
    }
    await output.sync();
    if (done < file.size) throw new Dropped(`${file.path} ended after ${done} of ${file.size} bytes`);
    return hash;
  } finally {
    await output.close();
  }
}

/** Not appended: where two downloads write to one part, each writes every byte to its place. */
async function writeAt(output: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await output.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
}

/** The name of a file until it is whole; another revision's file has another. */
export const partOf = (path: string, file: HubFile): string =>
  `${path}.${expectedHash(file)?.slice(0, 8)}.part`;

const expectedHash = ({ sha256, gitId }: HubFile): string | undefined => sha256 ?? gitId;

/** sha256 for large files; for small ones Git's id, which begins with the size. */
const newHash = ({ sha256, size }: HubFile): Hash =>
  sha256 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);

/** The hash of a file's first bytes. */
async function hashOf(input: FileHandle, file: HubFile, bytes: number, signal?: AbortSignal): Promise<Hash> {
  const hash = newHash(file);
  if (bytes === 0) return hash;
  for await (const chunk of input.createReadStream({ start: 0, end: bytes - 1, autoClose: false })) {
    signal?.throwIfAborted(); // gigabytes take their time
    hash.update(chunk as Buffer);
  }
  return hash;
}

/** Whether a file is there whole, and right. */
async function isWhole(path: string, file: HubFile, signal?: AbortSignal): Promise<boolean> {
  if ((await sizeOf(path)) !== file.size) return false;
  const input = await open(path).catch(explainDisk(path));
  try {
    return (await hashOf(input, file, file.size, signal)).digest("hex") === expectedHash(file);
  } finally {
    await input.close();
  }
}

/** The size of a file; undefined where there is none. */
export const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );

/** Throws an error of the disk in words that name the file. */
export const explainDisk =
  (path: string) =>
  (error: unknown): never => {
    throw new InputError(`${path} cannot be written: ${(error as Error).message}`);
  };
