import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { readWeightMap } from "../checkpoint/weight-files.js";
import { sizeOf } from "../util/file-system.js";
import { explainFileError, InputError } from "../util/errors.js";
import { parseJson } from "../util/json.js";
import { fetchFile, isComplete } from "./fetch-file.js";
import { checkOptions, type HubFile, type HubOptions, listFiles } from "./hub.js";
import { retry, type RetryOptions } from "./retry.js";

/** Options for `download`. */
export interface DownloadOptions extends HubOptions, RetryOptions {
  /** The directory that the files are put into; created if necessary. */
  readonly directory: string;
  /** Called as bytes arrive; `doneBytes` includes files that were present already. */
  readonly onProgress?: (progress: { file: string; doneBytes: number; totalBytes: number }) => void;
}

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const OPTIONAL = [
  "generation_config.json",
  "tokenizer_config.json",
  "tokenizer.json",
  "special_tokens_map.json",
  "chat_template.jinja",
];
const TOKENIZERS = ["tokenizer.model", "original/tokenizer.model"];

/**
 * Downloads the files of a repository that `loadCheckpoint` and `loadChatTemplate` read. Complete files are skipped,
 * partial ones are resumed, and files that differ from the repository's are never replaced. config.json comes last:
 * without it a directory is incomplete.
 *
 * @returns the number of files, and their size in bytes
 * @throws InputError if an option is invalid, the repository is missing, gated or not a checkpoint, the directory is in
 *         use or holds other files, the network fails, the disk is full or a hash is wrong; the signal's reason
 */
export async function download(options: DownloadOptions): Promise<{ files: number; bytes: number }> {
  const { directory, repo } = options;
  checkOptions(options);
  const files = await retry(() => listFiles(options), options);
  const listed = new Map(files.map((file) => [file.path, file]));
  for (const name of [CONFIG, listed.has(INDEX) ? INDEX : WEIGHTS]) {
    if (listed.has(name)) continue;
    throw new InputError(`${repo} must be a checkpoint in Hugging Face's layout, but has no ${name}`);
  }
  await mkdir(directory, { recursive: true }).catch(explainFileError(directory));
  const unlock = await lockDirectory(directory);
  try {
    return await fetchMissing(listed, options);
  } finally {
    await unlock();
  }
}

/**
 * Reserves a directory for one download, of this process or another, until the returned function is called. Each
 * download creates a file named after its process before it looks for others: so two never both find the directory free.
 */
async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const own = `.download.${hostname()}.${process.pid}.${randomUUID()}.lock`;
  const remove = (name: string) => rm(join(directory, name), { force: true });
  await writeFile(join(directory, own), "").catch(explainFileError(directory));
  for (const name of await readdir(directory)) {
    const [, host, pid] = /^\.download\.(.+)\.(\d+)\.[0-9a-f-]{36}\.lock$/.exec(name) ?? [];
    if (pid === undefined || name === own) continue;
    if (host === hostname() && !isRunning(Number(pid))) await remove(name);
    else {
      await remove(own);
      const hint = `wait for it, choose another directory, or delete ${name} if no download is running`;
      throw new InputError(`${directory} is in use by another download, process ${pid} on ${host}: ${hint}`);
    }
  }
  return () => remove(own);
}

/** True if a process with this id is running, of this user or another. */
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it belongs to another user
  }
}

async function fetchMissing(listed: ReadonlyMap<string, HubFile>, options: DownloadOptions) {
  const { directory, repo, revision, signal, onProgress } = options;
  const complete = new Set<string>();
  /** Finds the files that are present, and rejects those that are not this revision's. */
  const check = async (names: Iterable<string>): Promise<void> => {
    for (const name of names) {
      const [path, file] = [join(directory, name), listed.get(name)];
      if ((await sizeOf(path)) === undefined) continue;
      if (!file || !(await isComplete(path, file, signal))) {
        const hint = "delete it, or choose another directory";
        throw new InputError(`${path} is not the file of ${repo} at revision ${revision}: ${hint}`);
      }
      complete.add(name);
    }
  };

  await check([CONFIG, WEIGHTS, INDEX, ...OPTIONAL, ...TOKENIZERS]);
  const weights = [WEIGHTS];
  if (!listed.has(WEIGHTS)) {
    const path = join(directory, INDEX);
    if (!complete.has(INDEX)) await fetchFile(listed.get(INDEX)!, path, options);
    complete.add(INDEX);
    const index = parseJson(await readFile(path).catch(explainFileError(path, "read")), path);
    const shards = new Set(readWeightMap(index, path).values());
    for (const name of shards) {
      if (!listed.has(name)) throw new InputError(`${INDEX} must name files of ${repo}, got ${name}`);
    }
    await check(shards);
    weights.splice(0, 1, INDEX, ...shards);
  }
  const tokenizers = TOKENIZERS.filter((name) => listed.has(name)).slice(0, 1);
  const files = [...weights, ...OPTIONAL, ...tokenizers, CONFIG].flatMap((name) => listed.get(name) ?? []);
  const missing = files.filter(({ path }) => !complete.has(path));

  const bytesOf = (some: readonly HubFile[]) => some.reduce((sum, file) => sum + file.size, 0);
  const totalBytes = bytesOf(files);
  let before = totalBytes - bytesOf(missing);
  for (const file of missing) {
    await fetchFile(file, join(directory, file.path), options, (done) =>
      onProgress?.({ file: file.path, doneBytes: before + done, totalBytes }),
    );
    before += file.size;
  }
  return { files: files.length, bytes: totalBytes };
}
