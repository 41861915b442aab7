import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { InputError } from "../errors.js";
import { Dropped, Hub, type HubFile, type HubOptions } from "./hub.js";

/** What is downloaded, and where to. */
export interface DownloadOptions extends HubOptions {
  readonly directory: string;
  /** Called as bytes arrive. */
  readonly onProgress?: (progress: Progress) => void;
  /** Milliseconds before the second try after a lost connection; doubled for each later one. */
  readonly retryDelay?: number;
}

/** How far a download is. */
export interface Progress {
  readonly file: string;
  /** Of all files; `doneBytes` counts what was there already. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** Tries for a file without a single byte of progress. */
const TRIES = 5;

/**
 * Downloads what `loadCheckpoint` reads of a repository, and nothing else. A file has its name only when it is whole and
 * its hash is right; until then it is `NAME.part`, where the next call goes on. config.json comes last, so a directory
 * that has one has everything.
 *
 * @throws InputError when the repository is missing, gated or no checkpoint, the network fails, the disk is full, or a
 *         file's hash is wrong; the signal's reason when it is aborted
 */
export async function download(options: DownloadOptions): Promise<{ files: number; bytes: number }> {
  const { directory, onProgress, signal } = options;
  const hub = new Hub(options);
  const listed = await hub.list();
  await mkdir(directory, { recursive: true }).catch(explainDisk(directory));

  let doneBytes = 0;
  const get = async (file: HubFile, totalBytes: number): Promise<void> => {
    await fetchFile(hub, file, options, (done) => {
      onProgress?.({ file: file.path, doneBytes: doneBytes + done, totalBytes });
    });
    doneBytes += file.size;
  };

  const small = needed(listed, options.repo);
  const index = small.find(({ path }) => path === INDEX);
  if (index) await get(index, index.size);
  const shards = index ? await shardsOf(join(directory, INDEX), listed) : [];
  const rest = [...shards, ...small.filter((file) => file !== index)];
  const all = index ? [index, ...rest] : rest;
  const totalBytes = all.reduce((sum, { size }) => sum + size, 0);
  await checkDisk(directory, all);
  for (const file of rest) {
    signal?.throwIfAborted();
    await get(file, totalBytes);
  }
  return { files: all.length, bytes: totalBytes };
}

const INDEX = "model.safetensors.index.json";

/** The files that are read, config.json last; the parts of several weights are in their index. */
function needed(listed: readonly HubFile[], repo: string): HubFile[] {
  const find = (path: string) => listed.find((file) => file.path === path);
  const config = find("config.json");
  const weights = find("model.safetensors") ?? find(INDEX);
  if (!config || !weights) {
    throw new InputError(
      `${repo} has no ${config ? "model.safetensors" : "config.json"}, expected a checkpoint in Hugging Face's form`,
    );
  }
  const others = ["generation_config.json", "tokenizer_config.json", "tokenizer.json"].map(find);
  const model = find("tokenizer.model") ?? find("original/tokenizer.model");
  return [weights, ...others, model, config].filter((file) => file !== undefined);
}

/** The files that an index names; each must be beside it. */
async function shardsOf(path: string, listed: readonly HubFile[]): Promise<HubFile[]> {
  const text = await readFile(path, "utf8");
  let map: unknown;
  try {
    map = (JSON.parse(text) as { weight_map?: unknown } | null)?.weight_map;
  } catch {
    map = undefined;
  }
  if (typeof map !== "object" || map === null)
    throw new InputError(`${path} has no weight_map, expected {"weight_map": {tensor: file}}`);
  return [...new Set<unknown>(Object.values(map))].map((name) => {
    const file = listed.find((one) => one.path === name);
    if (file && /^[\w-][\w.-]*\.safetensors$/.test(file.path)) return file;
    throw new InputError(`${path} names the file ${JSON.stringify(name)}, which is not in the repository`);
  });
}

/** Downloads one file, or what is missing of it, and gives it its name. */
async function fetchFile(
  hub: Hub,
  file: HubFile,
  { directory, signal, retryDelay = 1000 }: DownloadOptions,
  onDone: (bytes: number) => void,
): Promise<void> {
  const path = join(directory, file.path);
  const part = `${path}.part`;
  await mkdir(dirname(path), { recursive: true }).catch(explainDisk(directory));
  if ((await hashOf(path, file))?.digest("hex") === expectedHash(file)) return onDone(file.size);

  for (let tries = 1; ; tries++) {
    const before = (await sizeOf(part)) ?? 0;
    try {
      const hash = await append(hub, file, part, signal, onDone);
      const digest = hash.digest("hex");
      if (digest !== expectedHash(file)) {
        await rm(part, { force: true });
        throw new InputError(
          `${file.path} has the hash ${digest}, expected ${expectedHash(file)}; it was deleted, try again`,
        );
      }
      await rename(part, path);
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
async function append(
  hub: Hub,
  file: HubFile,
  part: string,
  signal: AbortSignal | undefined,
  onDone: (bytes: number) => void,
): Promise<Hash> {
  let done = (await sizeOf(part)) ?? 0;
  if (done > file.size) {
    await rm(part);
    done = 0;
  }
  const hash = (await hashOf(part, file, done)) ?? newHash(file);
  onDone(done);
  if (done === file.size) return hash;
  const output = await open(part, "a").catch(explainDisk(part));
  try {
    for await (const chunk of hub.bytes(file, done)) {
      signal?.throwIfAborted();
      if (done + chunk.length > file.size)
        throw new InputError(`${file.path} has more than the ${file.size} bytes that were listed`);
      await output.appendFile(chunk).catch(explainDisk(part));
      hash.update(chunk);
      done += chunk.length;
      onDone(done);
    }
    await output.sync();
  } finally {
    await output.close();
  }
  if (done < file.size) throw new Dropped(`${file.path} ended after ${done} of ${file.size} bytes`);
  return hash;
}

const expectedHash = ({ sha256, gitId }: HubFile): string | undefined => sha256 ?? gitId;

/** sha256 for large files; for small ones Git's id, which begins with the size. */
const newHash = ({ sha256, size }: HubFile): Hash =>
  sha256 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);

/** The hash of a file as far as it is there; undefined if it is not, or has another size than expected. */
async function hashOf(path: string, file: HubFile, size = file.size): Promise<Hash | undefined> {
  if ((await sizeOf(path)) !== size) return undefined;
  const hash = newHash(file);
  if (size > 0)
    for await (const chunk of createReadStream(path, { end: size - 1 })) hash.update(chunk as Buffer);
  return hash;
}

const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );

/** Refuses what the disk has no room for, before the first of it is written. */
async function checkDisk(directory: string, files: readonly HubFile[]): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  let missing = 0;
  for (const { path, size } of files) {
    const there =
      (await sizeOf(join(directory, path))) ?? (await sizeOf(join(directory, `${path}.part`))) ?? 0;
    missing += Math.max(0, size - there);
  }
  if (missing <= bavail * bsize) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new InputError(
    `${directory} needs ${gigabytes(missing)} more, the disk has ${gigabytes(bavail * bsize)} free`,
  );
}

const explainDisk =
  (path: string) =>
  (error: unknown): never => {
    throw new InputError(`${path} cannot be written: ${(error as Error).message}`);
  };
