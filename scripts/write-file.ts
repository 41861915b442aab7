import { randomUUID } from "node:crypto";
import { access, chmod, constants, readlink, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import { InputError } from "../src/index.js";

/** Parses an option that names a file: an unset variable of the shell gives an empty one, which would be lost in silence. */
export function fileName(text: string): string {
  if (text === "") throw new InvalidArgumentError("Expected the name of a file.");
  return text;
}

let awaited = false;

/** Whether a file was asked for that `checkWritable` found nothing wrong with. */
export const fileIsAwaited = (): boolean => awaited;

/**
 * Refuses a results file that could not be written, before anything is measured; what is there stays as it is.
 *
 * @throws InputError where it is a directory or a device, or may not be written, or no file can be made beside it
 */
export async function checkWritable(file: string): Promise<void> {
  await replace(file, async (temporary) => {
    await writeFile(temporary, "", { flag: "wx" });
    await rm(temporary);
  });
  awaited = true;
}

/** Writes results as JSON, by lines that a person can read. Throws what `writeWhole` throws. */
export function writeResults(file: string, results: unknown): Promise<void> {
  return writeWhole(file, `${JSON.stringify(results, null, 1)}\n`);
}

/**
 * Writes a file: to a temporary one first, so that what was there stays whole until this is.
 *
 * @throws InputError where that cannot be done; what was there is there then
 */
export async function writeWhole(file: string, text: string): Promise<void> {
  await replace(file, async (temporary, target, mode) => {
    // Flushed, because a full disk may say so only then: after the renaming it would be too late.
    await writeFile(temporary, text, { flag: "wx", flush: true });
    if (mode !== undefined) await chmod(temporary, mode); // the umask has no say
    await rename(temporary, target);
  });
}

/**
 * What replacing a file takes, whoever writes: `act` gets a name beside it that no other file has, the file's own (a
 * link's aim: the link stays), and the permissions of what is there. Nothing stays under the first name.
 */
async function replace(
  file: string,
  act: (temporary: string, target: string, mode: number | undefined) => Promise<void>,
): Promise<void> {
  // Of what is not there yet, a link's aim too, `act` finds out what is wrong.
  const aim = () => readlink(file).then((path) => resolve(dirname(file), path));
  const target = await realpath(file)
    .catch(aim)
    .catch(() => file);
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    const there = await stat(target).catch(() => undefined);
    if (there && !there.isFile()) {
      const kind = there.isDirectory() ? "a directory" : "a device";
      throw new InputError(`${file} is ${kind}, expected a file's name`);
    }
    if (there) await access(target, constants.W_OK); // renaming asks for the directory's permission alone
    await act(temporary, target, there && there.mode & 0o777);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {}); // what cannot be taken away was not made
    if (error instanceof InputError) throw error;
    const reason = (error as Error).message.replace(/, \w+(?: '.*)?$/s, ""); // without the temporary name
    throw new InputError(`${file} cannot be written: ${reason}`);
  }
}
