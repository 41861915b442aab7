import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { explainFileError, InputError } from "../util/errors.js";
import { formatValue } from "../util/format.js";
import { MAX_TEXT_BYTES, parseJson } from "../util/json.js";

/** The format that this project reads, in errors. */
const EXPECTED = "a Hugging Face model directory with config.json, model.safetensors and a tokenizer";

/** Other formats that models are published in, by the names of their files; each with what to do. */
const OTHER_FORMATS: readonly (readonly [name: RegExp, advice: string])[] = [
  [
    /^(?:original\/)?(?:params\.json|consolidated\.00\.pth)$/,
    "is in Meta's own format; run npm run download -- meta-llama/Llama-3.2-1B",
  ],
  [/^pytorch_model\.bin/, "is in a format that can run code; convert it with transformers' save_pretrained"],
  [/\.gguf$/i, "is in GGUF, which is not supported"],
];

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
   * The first of these files that is there.
   *
   * @throws InputError when there is none, which names the format of the model that is there instead, or when it must not
   *         be read
   */
  get(...names: readonly string[]): CheckpointFile {
    for (const name of names) {
      const file = this.find(name);
      if (file) return file;
    }
    const missing = `${this.directory} must be ${EXPECTED}, but ${names[0]} is missing`;
    for (const [pattern, advice] of OTHER_FORMATS) {
      const other = [...this.files.keys()].find((name) => pattern.test(name));
      if (other === undefined) continue;
      throw new InputError(`${missing}: ${formatValue(other)} ${advice}`);
    }
    throw new InputError(missing);
  }
}

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
  const top = await readdir(directory).catch(({ code, message }: NodeJS.ErrnoException) => {
    const repository = /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(directory) ? directory : "OWNER/NAME";
    const missing = `does not exist; npm run download -- ${repository} downloads one`;
    const problem = code === "ENOENT" ? missing : `cannot be read: ${message}`;
    throw new InputError(`${directory} must be ${EXPECTED}, but ${problem}`);
  });
  const original = await readdir(join(directory, "original")).catch(() => []); // Meta's files, if any
  const root = await realpath(directory);
  const blobs = basename(dirname(root)) === "snapshots" ? join(dirname(dirname(root)), "blobs") : root;
  const isInside = (path: string) => [root, blobs].some((parent) => path.startsWith(parent + sep));

  const files = new Map<string, CheckpointFile>();
  for (const name of [...top, ...original.map((one) => `original/${one}`)]) {
    files.set(name, await inspectFile(join(directory, name), isInside));
  }
  return new CheckpointFiles(directory, files);
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
  return readFile(path).catch(explainFileError(path, "read"));
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
