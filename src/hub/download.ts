import { mkdir, rename, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../util/errors.js";
import { formatValue } from "../util/format-value.js";
import { formatBytes } from "../util/format-bytes.js";
import { MAX_TEXT_BYTES } from "../checkpoint/directory.js";
import { explainDisk, sizeOf } from "../checkpoint/disk.js";
import { fetchFile, type FetchOptions, isWhole } from "./fetch-file.js";
import { Hub, type HubFile, type HubOptions } from "./hub.js";
import { bytesLeft } from "./part.js";
import { retry } from "./retry.js";
import { readWeightMap } from "../checkpoint/weight-files.js";

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

/** What a download has done. */
export interface Downloaded {
  readonly files: number;
  readonly bytes: number;
  /** Files that were there, that would be read, and that are not of this revision: their names, and what they are now. */
  readonly setAside: ReadonlyMap<string, string>;
}

/**
 * Downloads what `loadCheckpoint` reads of a repository, and nothing else. A directory that has a config.json has all
 * of one revision: it comes last, and where another revision was, it goes before the first other file is replaced. That is
 * so for one download at a time; of two revisions at once, each file is right, and a further run puts things in order.
 *
 * @throws InputError when an option is wrong, the repository is missing, gated or no checkpoint, the network fails, the
 *         disk is full, or a file's hash is wrong; the signal's reason when it is aborted
 */
export async function download(options: DownloadOptions): Promise<Downloaded> {
  const { directory, onProgress, signal } = options;
  if (directory === "")
    throw new InputError('the directory is "", expected a name such as checkpoints/llama');
  const hub = new Hub(options);
  const listed = await retry(() => hub.list(), options);
  await mkdir(directory, { recursive: true }).catch(explainDisk(directory));

  const whole = (file: HubFile) => isWhole(join(directory, file.path), file, signal);
  const configPath = join(directory, CONFIG);
  const removeConfig = () => rm(configPath, { force: true }).catch(explainDisk(configPath));
  let doneBytes = 0;
  const get = async (file: HubFile, totalBytes: number): Promise<void> => {
    signal?.throwIfAborted();
    const report = (done: number) =>
      onProgress?.({ file: file.path, doneBytes: doneBytes + done, totalBytes });
    await fetchFile(hub, file, options, report, removeConfig);
    doneBytes += file.size;
  };

  const { config, others, index } = needed(listed, options.repo);
  if (index && !(await whole(index))) await get(index, index.size); // before the weights: it says which there are
  if (index) others.unshift(...(await shardsOf(directory, listed)));
  const missing: HubFile[] = [];
  for (const file of others) if (!(await whole(file))) missing.push(file);
  await checkDisk(directory, missing);

  const totalBytes = bytesOf(others) + config.size;
  doneBytes = bytesOf(others) - bytesOf(missing);
  for (const file of missing) await get(file, totalBytes);
  const foreign = await findForeign(directory, others, listed, signal);
  if (foreign.length > 0) await removeConfig();
  const aside = new Map<string, string>();
  for (const name of foreign) aside.set(name, await setAside(directory, name));
  if (!(await whole(config))) await get(config, totalBytes);
  return { files: others.length + 1, bytes: totalBytes, setAside: aside };
}

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const TOKENIZERS = ["tokenizer.model", "original/tokenizer.model"];
const OPTIONAL = ["generation_config.json", "tokenizer_config.json", "tokenizer.json"];

/** The files that are read; the parts of several weights are in their index. */
function needed(
  listed: readonly HubFile[],
  repo: string,
): { config: HubFile; others: HubFile[]; index: HubFile | undefined } {
  const find = (path: string) => listed.find((file) => file.path === path);
  const config = find(CONFIG);
  const weights = find(WEIGHTS) ?? find(INDEX);
  if (!config || !weights) {
    throw new InputError(
      `${repo} has no ${config ? WEIGHTS : CONFIG}, expected a checkpoint in Hugging Face's form`,
    );
  }
  const tokenizer = TOKENIZERS.map(find).find((file) => file !== undefined);
  const others = [weights, ...OPTIONAL.map(find), tokenizer].filter((file) => file !== undefined);
  for (const { path, size } of [...others, config]) {
    if (size <= MAX_TEXT_BYTES || path === WEIGHTS) continue;
    throw new InputError(
      `${repo}: ${path} has ${size} bytes, expected at most ${MAX_TEXT_BYTES} of a text file`,
    );
  }
  return { config, others, index: weights.path === INDEX ? weights : undefined };
}

/** The names of files that would be read beside those that were asked for, and are not of this revision. */
async function findForeign(
  directory: string,
  others: readonly HubFile[],
  listed: readonly HubFile[],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const foreign: string[] = [];
  for (const name of [WEIGHTS, INDEX, ...OPTIONAL, ...TOKENIZERS]) {
    const path = join(directory, name);
    if (others.some((file) => file.path === name) || (await sizeOf(path)) === undefined) continue;
    const file = listed.find((one) => one.path === name);
    if (!file || !(await isWhole(path, file, signal))) foreign.push(name);
  }
  return foreign;
}

/**
 * Renames a file and does not delete it: nobody knows whether it came from a hub, or is the user's own work. (One that has
 * the name of a file of the revision is replaced, as the command says.) Returns what it is called now.
 */
async function setAside(directory: string, name: string): Promise<string> {
  let now = `${name}.old`;
  for (let n = 2; (await sizeOf(join(directory, now))) !== undefined; n++) now = `${name}.old.${n}`;
  const path = join(directory, name);
  await rename(path, join(directory, now)).catch(explainDisk(path));
  return now;
}

const bytesOf = (files: readonly HubFile[]): number => files.reduce((sum, { size }) => sum + size, 0);

/** The files that an index names; each must be beside it. */
async function shardsOf(directory: string, listed: readonly HubFile[]): Promise<HubFile[]> {
  const path = join(directory, INDEX);
  return Array.from(new Set((await readWeightMap(path)).values()), (name) => {
    const file = listed.find((one) => one.path === name);
    if (file) return file;
    throw new InputError(`${path} names the file ${formatValue(name)}, which is not in the repository`);
  });
}

/** Refuses what the disk has no room for, before the first of it is written. */
async function checkDisk(directory: string, missing: readonly HubFile[]): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  let needs = 0;
  for (const file of missing) {
    needs += Math.max(0, file.size - (await bytesLeft(join(directory, file.path), file)));
  }
  if (needs <= bavail * bsize) return;
  throw new InputError(
    `${directory} needs ${formatBytes(needs)} more, the disk has ${formatBytes(bavail * bsize)} free`,
  );
}
