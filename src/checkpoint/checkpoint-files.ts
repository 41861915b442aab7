import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { InputError } from "../util/errors.js";
import { MAX_TEXT_BYTES, parseJson } from "../util/json.js";

/** The format that this project reads, in errors. */
export const EXPECTED = "a Hugging Face model directory with config.json, model.safetensors and a tokenizer";

/** Names of files in llama.cpp's format. */
export const GGUF = /\.gguf$/i;

/** A file of a checkpoint directory. */
export interface CheckpointFile {
  /** For reading it, and for its name in errors. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** The reason why it must not be read, if there is one: "is a broken link". */
  readonly problem?: string;
}

/** The files of a checkpoint directory by name, such as "config.json" or "original/tokenizer.model". */
export class CheckpointFiles {
  constructor(
    readonly directory: string,
    private readonly files: ReadonlyMap<string, CheckpointFile>,
  ) {}

  /** Names of all files. */
  get names(): readonly string[] {
    return [...this.files.keys()];
  }

  /** True if there is a file of this name, even one that must not be read. */
  has(name: string): boolean {
    return this.files.has(name);
  }

  /**
   * A file, if there is one of this name.
   *
   * @throws InputError for a file that must not be read
   */
  find(name: string): CheckpointFile | undefined {
    const file = this.files.get(name);
    if (file?.problem) throw new InputError(`${file.path} ${file.problem}`);
    return file;
  }

  /**
   * A file that must be there.
   *
   * @throws InputError when it is missing or must not be read
   */
  get(name: string): CheckpointFile {
    const file = this.find(name);
    if (file) return file;
    throw new InputError(`${join(this.directory, name)} is missing, expected a file of a Hugging Face model`);
  }
}

/** Files that a checkpoint can consist of, in this format or another. */
const KNOWN_FILES = /\.(?:json|model|safetensors|bin|pth|gguf)$/i;

/**
 * Looks at a checkpoint directory and its subdirectory `original`: which files there are, how large they are, and whether
 * they lie inside of it. Nothing else in src/checkpoint looks for files. A link out of the directory is a problem, as a
 * downloaded model has no business with other files; Hugging Face's cache, where `snapshots/REVISION/config.json` is a
 * link into `blobs`, is allowed.
 *
 * @throws InputError when there is no such directory, or it cannot be read
 */
export async function inspectDirectory(directory: string): Promise<CheckpointFiles> {
  if (directory === "") throw new InputError('the model directory must be a directory\'s name, got ""');
  const top = await readdir(directory).catch((error: NodeJS.ErrnoException) =>
    explainMissingDirectory(directory, error),
  );
  const original = await readdir(join(directory, "original")).catch(() => []); // Meta's files, if any
  const root = await realpath(directory);
  const blobs = basename(dirname(root)) === "snapshots" ? join(dirname(dirname(root)), "blobs") : root;
  const isInside = (path: string) => [root, blobs].some((parent) => path.startsWith(parent + sep));

  const files = new Map<string, CheckpointFile>();
  for (const name of [...top, ...original.map((one) => `original/${one}`)]) {
    if (KNOWN_FILES.test(name)) files.set(name, await inspectFile(join(directory, name), isInside));
  }
  return new CheckpointFiles(directory, files);
}

/** Throws what is wrong with a model directory that cannot be listed, given Node's error. */
async function explainMissingDirectory(
  directory: string,
  { code, message }: NodeJS.ErrnoException,
): Promise<never> {
  if (code === "ENOTDIR") {
    const kind = GGUF.test(directory) ? "a GGUF file, a format that is not supported" : "a file";
    throw new InputError(`${directory} must be ${EXPECTED}, but is ${kind}`);
  }
  if (code !== "ENOENT") throw new InputError(`${directory} cannot be read: ${message}`);
  const missing = `${directory} must be ${EXPECTED}, but does not exist`;
  const isRepositoryName = /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(directory);
  const parent = await stat(dirname(directory)).catch(() => undefined);
  if (!isRepositoryName || parent) throw new InputError(missing);
  throw new InputError(
    `${missing}; to download the repository of that name to ${join("checkpoints", directory)}, ` +
      `run npm run download -- ${directory}`,
  );
}

async function inspectFile(path: string, isInside: (path: string) => boolean): Promise<CheckpointFile> {
  try {
    const real = await realpath(path);
    const stats = await stat(path);
    if (!isInside(real)) {
      return { path, size: 0, problem: `must be inside the model directory, but links to ${real}` };
    }
    if (stats.isFile()) return { path, size: stats.size };
    return { path, size: 0, problem: "must be a file, but is a directory or a device" }; // reading a pipe would block
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { path, size: 0, problem: code === "ENOENT" ? "is a broken link" : `cannot be read: ${message}` };
  }
}

/**
 * Reads a small file.
 *
 * @param maxBytes how large it may be
 * @throws InputError when it is larger or cannot be read
 */
export async function readSmallFile({ path, size }: CheckpointFile, maxBytes: number): Promise<Uint8Array> {
  if (size > maxBytes) throw new InputError(`${path} must have at most ${maxBytes} bytes, got ${size}`);
  return readFile(path).catch((error: Error) => {
    throw new InputError(`${path} cannot be read: ${error.message}`);
  });
}

/**
 * Reads a JSON file.
 *
 * @param maxValues how many values it may hold, if that is more than most files need
 * @throws InputError when it cannot be read, is not JSON or too large
 */
export async function readJsonFile(file: CheckpointFile, maxValues?: number): Promise<unknown> {
  return parseJson(await readSmallFile(file, MAX_TEXT_BYTES), file.path, { maxValues });
}
