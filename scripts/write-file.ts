import { randomUUID } from "node:crypto";
import { access, chmod, constants, readlink, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import { InputError } from "../src/index.js";

/** Parses an option that names a file. An unset shell variable gives an empty name. */
export function fileName(text: string): string {
  if (text === "") throw new InvalidArgumentError("Expected a file name.");
  return text;
}

let pending = false;

/** True while the command still has a file to write, which `checkWritable` has accepted. */
export const fileIsAwaited = (): boolean => pending;

/**
 * Rejects a file that cannot be written. An existing file is left as it is.
 *
 * @throws InputError when it is a directory or a device, is write-protected, or its directory is
 */
export const checkReplaceable = (file: string): Promise<void> => replace(file);

/** `checkReplaceable` for a results file, before anything is measured; `fileIsAwaited` is true from then on. */
export async function checkWritable(file: string): Promise<void> {
  await replace(file);
  pending = true;
}

/** Writes results as indented JSON. @throws what `writeWhole` throws */
export const writeResults = (file: string, results: unknown): Promise<void> =>
  writeWhole(file, `${JSON.stringify(results, null, 1)}\n`);

/**
 * Writes a file under a temporary name and renames it, so that readers never see half of it.
 *
 * @throws InputError when it cannot be written; an existing file is then unchanged
 */
export const writeWhole = (file: string, text: string): Promise<void> => replace(file, text);

/** Replaces a file, or a link's target, so that links stay; without a text, only finds out whether it can. */
async function replace(file: string, text?: string): Promise<void> {
  const linkTarget = () => readlink(file).then((path) => resolve(dirname(file), path));
  const target = await realpath(file)
    .catch(linkTarget) // a link to a missing file
    .catch(() => file); // a new file
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    const there = await stat(target).catch(() => undefined);
    if (there && !there.isFile()) {
      throw new InputError(`${file} must be a file, got a ${there.isDirectory() ? "directory" : "device"}`);
    }
    if (there) await access(target, constants.W_OK); // renaming alone checks the directory only
    await writeFile(temporary, text ?? "", { flag: "wx", flush: true }); // a full disk may show only when flushed
    if (there) await chmod(temporary, there.mode & 0o777); // regardless of the umask
    if (text !== undefined) await rename(temporary, target);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = (error as Error).message.replace(/, \w+(?: '.*)?$/s, ""); // drops the temporary name
    throw new InputError(`cannot write ${file}: ${reason}`);
  } finally {
    await rm(temporary, { force: true }).catch(() => {}); // nothing to remove
  }
}
