import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { InputError } from "../util/errors.js";
import { explainDisk, sizeOf } from "../checkpoint/disk.js";
import { expectedHash, type Hub, type HubFile } from "./hub.js";
import { Dropped } from "./hub-errors.js";
import { Part } from "./part.js";
import { retry, type RetryOptions } from "./retry.js";

/** Where a file is put, and how patiently. */
export interface FetchOptions extends RetryOptions {
  readonly directory: string;
}

/**
 * Downloads one file, or what is missing of it. It has its name only when it is whole and its hash is right; until then
 * it is a `Part`, with which the next call goes on.
 *
 * @param onDone      is told how many bytes are there
 * @param onReplacing is called when the file is whole, before it has its name
 * @throws InputError when the network fails, the disk is full, or the hash is wrong; the signal's reason
 */
export async function fetchFile(
  hub: Hub,
  file: HubFile,
  options: FetchOptions,
  onDone: (bytes: number) => void,
  onReplacing: () => Promise<void>,
): Promise<void> {
  const path = join(options.directory, file.path);
  await mkdir(dirname(path), { recursive: true }).catch(explainDisk(options.directory));
  const part = await Part.take(path, file);
  try {
    const complete = () => completePart(hub, file, part, options.signal, onDone);
    const digest = await retry(complete, options, async () => (await sizeOf(part.path)) ?? 0);
    if (digest !== expectedHash(file)) {
      await part.delete();
      throw new InputError(
        `${file.path} has the hash ${digest}, expected ${expectedHash(file)}; it was deleted, try again`,
      );
    }
    if (await isWhole(path, file, options.signal)) return await part.delete(); // another download was faster
    await onReplacing();
    await part.finish();
  } catch (error) {
    await part.giveBack();
    throw error;
  }
}

/** Adds to a part what is missing; returns the hash of all of it. */
async function completePart(
  hub: Hub,
  file: HubFile,
  part: Part,
  signal: AbortSignal | undefined,
  onDone: (bytes: number) => void,
): Promise<string> {
  const path = part.whole; // the name that the user knows
  const openPart = () => open(part.path, constants.O_RDWR | constants.O_CREAT).catch(explainDisk(path));
  const begun = file.size === 0 || (await sizeOf(part.path)) !== undefined;
  let output = begun ? await openPart() : undefined; // else with the first byte: an empty part is of no use
  try {
    let done = output ? (await output.stat()).size : 0;
    if (done > file.size) {
      await output?.truncate();
      done = 0;
    }
    const hash = newHash(file);
    if (output) await addTo(hash, output, done, signal).catch(explainDisk(path, "read"));
    onDone(done);
    if (done === file.size) return hash.digest("hex");
    for await (const chunk of hub.bytes(file, done)) {
      signal?.throwIfAborted();
      if (done + chunk.length > file.size) {
        await part.delete(); // it can never become right
        throw new InputError(
          `${file.path} has more than the ${file.size} bytes that were listed; ` +
            "it was deleted, try again, or elsewhere (HF_ENDPOINT)",
        );
      }
      output ??= await openPart();
      await writeAt(output, chunk, done).catch(explainDisk(path));
      hash.update(chunk);
      done += chunk.length;
      onDone(done);
    }
    await output?.sync().catch(explainDisk(path));
    if (done < file.size) throw new Dropped(`${file.path} ended after ${done} of ${file.size} bytes`);
    return hash.digest("hex");
  } finally {
    await output?.close();
  }
}

/** Each chunk to its place: a single write may take less than it is given. */
async function writeAt(output: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await output.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
}

/** sha256 for large files; for small ones Git's id, which begins with the size. */
const newHash = ({ sha256, size }: HubFile): Hash =>
  sha256 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);

/** Adds a file's first bytes to a hash. */
async function addTo(hash: Hash, input: FileHandle, bytes: number, signal?: AbortSignal): Promise<void> {
  if (bytes === 0) return;
  for await (const chunk of input.createReadStream({ start: 0, end: bytes - 1, autoClose: false })) {
    signal?.throwIfAborted(); // gigabytes take their time
    hash.update(chunk as Buffer);
  }
}

/**
 * Whether a file is there whole, and right.
 *
 * @throws InputError when it cannot be read; the signal's reason
 */
export async function isWhole(path: string, file: HubFile, signal?: AbortSignal): Promise<boolean> {
  if ((await sizeOf(path)) !== file.size) return false;
  const input = await open(path).catch(explainDisk(path, "read"));
  try {
    const hash = newHash(file);
    await addTo(hash, input, file.size, signal).catch(explainDisk(path, "read"));
    return hash.digest("hex") === expectedHash(file);
  } finally {
    await input.close();
  }
}
