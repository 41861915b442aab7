import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readWeightMap } from "../checkpoint/weight-files.js";
import { explainFileError, sizeOf } from "../util/file-system.js";
import { InputError } from "../util/errors.js";
import { MAX_TEXT_BYTES, parseJson } from "../util/json.js";
import { fetchFile, isComplete } from "./fetch-file.js";
import { Hub, type HubFile, type HubOptions } from "./hub.js";
import { lockDirectory } from "./lock-directory.js";
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
const OPTIONAL = ["generation_config.json", "tokenizer_config.json", "tokenizer.json"];
const TOKENIZERS = ["tokenizer.model", "original/tokenizer.model"];

/**
 * Downloads the files of a repository that `loadCheckpoint` reads. Complete files are skipped, partial ones resumed, and
 * files that differ from the repository's are never replaced. config.json comes last: without it a directory is
 * incomplete.
 *
 * @returns the number of files, and their size in bytes
 * @throws InputError if an option is invalid, the repository is missing, gated or not a checkpoint, the directory is in
 *         use or holds other files, the network fails, the disk is full or a hash is wrong; the signal's reason
 */
export async function download(options: DownloadOptions): Promise<{ files: number; bytes: number }> {
  const { directory, repo } = options;
  if (directory === "") throw new InputError('the directory must have a name, got ""');
  const hub = new Hub(options);
  const listed = new Map((await retry(() => hub.list(), options)).map((file) => [file.path, file]));
  for (const name of [CONFIG, listed.has(INDEX) ? INDEX : WEIGHTS]) {
    if (!listed.has(name))
      throw new InputError(`${repo} must be a checkpoint in Hugging Face's layout, but has no ${name}`);
  }
  for (const name of [CONFIG, INDEX, ...OPTIONAL, ...TOKENIZERS]) {
    const size = listed.get(name)?.size ?? 0;
    if (size > MAX_TEXT_BYTES)
      throw new InputError(`${name} of ${repo} must have at most ${MAX_TEXT_BYTES} bytes, got ${size}`);
  }
  await mkdir(directory, { recursive: true }).catch(explainFileError(directory));
  const unlock = await lockDirectory(directory);
  try {
    return await fetchMissing(hub, listed, options);
  } finally {
    await unlock();
  }
}

async function fetchMissing(hub: Hub, listed: ReadonlyMap<string, HubFile>, options: DownloadOptions) {
  const { directory, repo, revision, signal, onProgress } = options;
  const complete = new Set<string>();
  /** Finds the files that are present, and rejects those that are not this revision's. */
  const check = async (names: Iterable<string>): Promise<void> => {
    for (const name of names) {
      const [path, file] = [join(directory, name), listed.get(name)];
      if ((await sizeOf(path)) === undefined) continue;
      if (!file || !(await isComplete(path, file, signal))) {
        const hint = "delete it, or choose another directory with --to";
        throw new InputError(`${path} is not the file of ${repo} at revision ${revision}: ${hint}`);
      }
      complete.add(name);
    }
  };
  const fetchTo = (file: HubFile, onDone: (bytes: number) => void = () => undefined) =>
    fetchFile(hub, file, join(directory, file.path), options, onDone);

  await check([CONFIG, WEIGHTS, INDEX, ...OPTIONAL, ...TOKENIZERS]);
  const weights = [WEIGHTS];
  if (!listed.has(WEIGHTS)) {
    if (!complete.has(INDEX)) await fetchTo(listed.get(INDEX)!);
    complete.add(INDEX);
    const path = join(directory, INDEX);
    const index = parseJson(await readFile(path).catch(explainFileError(path, "read")), path);
    const shards = new Set(readWeightMap(index, path).values());
    for (const name of shards)
      if (!listed.has(name)) throw new InputError(`${INDEX} must name files of ${repo}, got ${name}`);
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
    await fetchTo(file, (done) => onProgress?.({ file: file.path, doneBytes: before + done, totalBytes }));
    before += file.size;
  }
  return { files: files.length, bytes: totalBytes };
}
