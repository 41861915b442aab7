import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { sizeOf } from "../util/file-system.js";
import { explainFileError, InputError } from "../util/errors.js";
import { ConnectionError, fileBytes, type HubFile, type HubOptions } from "./hub.js";
import { retry, type RetryOptions } from "./retry.js";

/**
 * Downloads one file, or the rest of it if an earlier call was interrupted. Until the hash of the file on disk has been
 * verified, its name is `PATH.HASH.part`. The caller holds the directory's lock.
 *
 * @param path   where the file is put
 * @param onDone called with the number of bytes present
 * @throws InputError if the network fails, the disk is full or the hash is wrong; the signal's reason
 */
export async function fetchFile(
  file: HubFile,
  path: string,
  options: HubOptions & RetryOptions,
  onDone: (bytes: number) => void = () => undefined,
): Promise<void> {
  const part = `${path}.${file.hash.slice(0, 8)}.part`;
  await mkdir(dirname(path), { recursive: true }).catch(explainFileError(path));
  const output = await open(part, "a").catch(explainFileError(path));
  let done = (await output.stat()).size;
  const fetchRest = async () => {
    if (done >= file.size) return;
    for await (const chunk of fileBytes(file.path, done, options)) {
      await output.appendFile(chunk).catch(explainFileError(path));
      done += chunk.length;
      onDone(done);
      if (done > file.size) break; // never trusted for more than was listed
    }
    if (done < file.size) throw new ConnectionError(`${file.path} ended after ${done} of ${file.size} bytes`);
  };
  try {
    onDone(done);
    await retry(fetchRest, options, () => done);
    await output.sync().catch(explainFileError(path));
  } finally {
    await output.close();
    if (done === 0 && file.size > 0) await rm(part, { force: true });
  }
  // Of the closed file, not of the bytes received: another program may have written to it.
  const digest = await hashFile(part, file, options.signal);
  if (digest !== file.hash) {
    await rm(part, { force: true });
    throw new InputError(
      `${file.path} must have the hash ${file.hash}, got ${digest}; it was deleted, try again`,
    );
  }
  await rename(part, path).catch(explainFileError(path));
}

/** True if a file is present and its hash is right. Throws InputError if it cannot be read; the signal's reason. */
export const isComplete = async (path: string, file: HubFile, signal: AbortSignal): Promise<boolean> =>
  (await sizeOf(path)) === file.size && (await hashFile(path, file, signal)) === file.hash;

/** A file's sha256, or Git's blob id: the sha1 of "blob SIZE\0" and the bytes. */
async function hashFile(path: string, listed: HubFile, signal: AbortSignal): Promise<string> {
  const hash =
    listed.hash.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${listed.size}\0`);
  try {
    for await (const chunk of createReadStream(path)) {
      signal.throwIfAborted(); // gigabytes take a while
      hash.update(chunk as Buffer);
    }
  } catch (error) {
    explainFileError(path, "read")(error);
  }
  return hash.digest("hex");
}
