import { lstat, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { InputError } from "../util/errors.js";
import { formatValue } from "../util/format-value.js";
import { decodeUtf8 } from "../util/utf8.js";
import { excess } from "./json-bounds.js";

/** A file that is not there, where another might do. */
export class MissingFile extends InputError {
  override readonly name = "MissingFile";
}

/**
 * The path of one of a model directory's files, which need not be there. Names and links that lead out of the directory
 * are refused: a model from somewhere else has no business with other files. Hugging Face's cache, where
 * `snapshots/<revision>/model.safetensors` is a link into `blobs/`, is no way out.
 *
 * @throws InputError for a name or link that leads out
 */
export async function fileInside(directory: string, name: string): Promise<string> {
  const path = join(directory, name);
  if (!/^(?:original\/)?[\w-][\w.-]*$/.test(name)) {
    throw new InputError(
      `${directory} names the file ${formatValue(name)}, expected a file of the directory`,
    );
  }
  const real = await realpath(path).catch(async () => {
    if (await isLink(path)) throw new InputError(`${path} is a link to nowhere, expected a file`);
    return undefined; // not there: whoever reads it says so
  });
  if (real === undefined) return path;
  const root = await realpath(directory);
  const blobs = basename(dirname(root)) === "snapshots" ? join(dirname(dirname(root)), "blobs") : root;
  if (real.startsWith(root + sep) || real.startsWith(blobs + sep)) return path;
  throw new InputError(
    `${path} is a link to ${real}, outside of the model directory; expected a file inside`,
  );
}

const isLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    (stats) => stats.isSymbolicLink(),
    () => false,
  );

/** Whether a file of a model directory is there. Throws what `fileInside` throws. */
export async function isThere(directory: string, name: string): Promise<boolean> {
  const path = await fileInside(directory, name);
  return realpath(path).then(
    () => true,
    () => false,
  );
}

/** No file of a model but its weights is larger than this; Llama 3's tokenizer.json has 9 to 17 MB. */
export const MAX_TEXT_BYTES = 32 * 2 ** 20;

/**
 * Reads a small file of a model directory.
 *
 * @param mostBytes how large it may be
 * @throws MissingFile when it is not there; InputError when it cannot be read
 */
export async function readSmall(directory: string, name: string, mostBytes: number): Promise<Uint8Array> {
  const path = await fileInside(directory, name);
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw new InputError(`${path} is a directory or a device, expected a text file`); // reading a pipe would wait
    if (stats.size > mostBytes) {
      throw new InputError(`${path} has ${stats.size} bytes, expected at most ${mostBytes} of a text file`);
    }
    return await readFile(path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new MissingFile(`${path} is missing; expected a Hugging Face model directory that holds it`);
    }
    throw new InputError(`${path} cannot be read: ${message}`);
  }
}

/**
 * Reads a JSON file of a model directory.
 *
 * @param mostValues how many values it may hold, where that is not the usual few
 * @throws what `readSmall` throws, and InputError for what is not JSON, or too much of it
 */
export async function readJson(directory: string, name: string, mostValues?: number): Promise<unknown> {
  const text = decodeUtf8(await readSmall(directory, name, MAX_TEXT_BYTES));
  if (text === undefined) throw new InputError(`${join(directory, name)} is not UTF-8, expected JSON`);
  const tooMuch = excess(text, mostValues);
  if (tooMuch) throw new InputError(`${join(directory, name)} ${tooMuch}, expected less`);
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    const seen = (error as Error).message.replaceAll(/\s+/g, " ").slice(0, 120);
    throw new InputError(`${join(directory, name)} is not valid JSON: ${seen}`);
  }
}
