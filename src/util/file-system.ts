import { mkdtempSync } from "node:fs";
import { stat } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { InputError } from "./errors.js";

/**
 * Creates a directory for temporary files. The caller removes it.
 *
 * @param name prefix of the directory's name
 * @throws InputError if the system's temporary directory is full, missing or not writable
 */
export function temporaryDirectory(name: string): string {
  try {
    return mkdtempSync(join(tmpdir(), `${name}-`));
  } catch (error) {
    const reason = (error as Error).message.replace(/, mkdtemp .*/s, "");
    const hint = "free disk space, or set TMPDIR to another directory";
    throw new InputError(`no temporary directory can be created in ${tmpdir()} (${reason}); ${hint}`);
  }
}

/** The user's cache directory for files that take long to produce, such as TensorFlow's native addon. */
export const cacheDirectory = (env: NodeJS.ProcessEnv, name: string): string =>
  resolve(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "kv-cache-lecture", name);

/** Size in bytes of a file, or of a directory's own entry; undefined if there is neither. */
export const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
