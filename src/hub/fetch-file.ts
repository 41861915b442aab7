import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { explainFileError, sizeOf } from "../util/file-system.js";
import { InputError } from "../util/errors.js";
import { ConnectionError, type Hub, type HubFile } from "./hub.js";

/** Attempts in a row without a byte before `fetchFile` gives up. */
const MAX_ATTEMPTS = 5;

/** Options for `fetchFile`. */
export interface FetchOptions {
  readonly signal: AbortSignal;
  /** Milliseconds before the second attempt; doubled for each later one. 2000 by default. */
  readonly retryDelay?: number;
  /** Called with one sentence before each further attempt. */
  readonly onNote?: (sentence: string) => void;
}

/**
 * Downloads one file, or the rest of it if an earlier call was interrupted. Until its hash has been verified the file is
 * called `PATH.HASH.part`.
 *
 * @param path   where the file is put
 * @param onDone called with the number of bytes present
 * @throws InputError if the network fails, the disk is full or the hash is wrong; the signal's reason
 */
export async function fetchFile(
  hub: Hub,
  file: HubFile,
  path: string,
  { signal, retryDelay = 2000, onNote }: FetchOptions,
  onDone: (bytes: number) => void,
): Promise<void> {
  const part = `${path}.${file.hash.slice(0, 8)}.part`;
  await mkdir(dirname(path), { recursive: true }).catch(explainFileError(path));
  const output = await open(part, "a").catch(explainFileError(path));
  let done = (await output.stat()).size;
  const hash = newHash(file);
  try {
    await addTo(hash, part, done, signal);
    onDone(done);
    for (let failures = 0; done < file.size;) {
      const before = done;
      try {
        for await (const chunk of hub.bytes(file.path, done)) {
          await output.appendFile(chunk).catch(explainFileError(path));
          hash.update(chunk);
          done += chunk.length;
          onDone(done);
          if (done > file.size) break; // never trusted for more than was listed
        }
        if (done < file.size)
          throw new ConnectionError(`${file.path} ended after ${done} of ${file.size} bytes`);
      } catch (error) {
        failures = done > before ? 1 : failures + 1;
        if (!(error instanceof ConnectionError) || failures === MAX_ATTEMPTS) throw error;
        const delay = retryDelay * 2 ** (failures - 1);
        onNote?.(`trying again in ${delay / 1000} s: ${error.message}`);
        await sleep(delay, undefined, { signal });
      }
    }
    await output.sync().catch(explainFileError(path));
  } finally {
    await output.close();
    if (done === 0 && file.size > 0) await rm(part, { force: true });
  }
  const digest = hash.digest("hex");
  if (digest !== file.hash) {
    await rm(part);
    throw new InputError(
      `${file.path} must have the hash ${file.hash}, got ${digest}; it was deleted, try again`,
    );
  }
  await rename(part, path).catch(explainFileError(path));
}

/** True if a file is present and its hash is right. Throws InputError if it cannot be read; the signal's reason. */
export async function isComplete(path: string, file: HubFile, signal: AbortSignal): Promise<boolean> {
  if ((await sizeOf(path)) !== file.size) return false;
  const hash = newHash(file);
  await addTo(hash, path, file.size, signal);
  return hash.digest("hex") === file.hash;
}

/** sha256, or Git's blob id: the sha1 of "blob SIZE\0" and the bytes. */
const newHash = ({ hash, size }: HubFile): Hash =>
  hash.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);

/** Adds a file's first bytes to a hash. */
async function addTo(hash: Hash, path: string, bytes: number, signal: AbortSignal): Promise<void> {
  if (bytes === 0) return;
  try {
    for await (const chunk of createReadStream(path, { end: bytes - 1 })) {
      signal.throwIfAborted(); // gigabytes take a while
      hash.update(chunk as Buffer);
    }
  } catch (error) {
    explainFileError(path, "read")(error);
  }
}
