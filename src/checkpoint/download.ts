import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../errors.js";
import { MAX_TEXT_BYTES } from "./directory.js";
import { explainDisk, sizeOf } from "./disk.js";
import { fetchFile, type FetchOptions } from "./fetch-file.js";
import { Hub, type HubFile, type HubOptions } from "./hub.js";
import { bytesLeft } from "./part.js";
import { readWeightMap } from "./weight-files.js";

/** What is downloaded, and where to. */
export interface DownloadOptions extends HubOptions, FetchOptions {
  /** Called as bytes arrive. */
  readonly onProgress?: (progress: Progress) => void;
}

/** How far a download is. */
export interface Progress {
  readonly file: string;
  /** Of all files; `doneBytes` counts what was there already. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/**
 * Downloads what `loadCheckpoint` reads of a repository, and nothing else. config.json comes last, so a directory
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
  const shards = index ? await shardsOf(directory, listed) : [];
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
  const all = [weights, ...others, model, config].filter((file) => file !== undefined);
  for (const { path, size } of all) {
    if (size <= MAX_TEXT_BYTES || path === "model.safetensors") continue;
    throw new InputError(
      `${repo}: ${path} has ${size} bytes, expected at most ${MAX_TEXT_BYTES} of a text file`,
    );
  }
  return all;
}

/** The files that an index names; each must be beside it. */
async function shardsOf(directory: string, listed: readonly HubFile[]): Promise<HubFile[]> {
  const path = join(directory, INDEX);
  return Array.from(new Set((await readWeightMap(path)).values()), (name) => {
    const file = listed.find((one) => one.path === name);
    if (file) return file;
    throw new InputError(`${path} names the file ${JSON.stringify(name)}, which is not in the repository`);
  });
}

/** Refuses what the disk has no room for, before the first of it is written. */
async function checkDisk(directory: string, files: readonly HubFile[]): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  let missing = 0;
  for (const file of files) {
    const path = join(directory, file.path);
    const there = (await sizeOf(path)) === file.size ? file.size : await bytesLeft(path, file);
    missing += Math.max(0, file.size - there);
  }
  if (missing <= bavail * bsize) return;
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  throw new InputError(
    `${directory} needs ${megabytes(missing)} more, the disk has ${megabytes(bavail * bsize)} free`,
  );
}
