import { open, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { explainFileError, InputError } from "../util/errors.js";
import { type CheckpointFile, CheckpointFiles, EXPECTED } from "./checkpoint-files.js";
import type { OpenFile, ReadableFile } from "./readable-file.js";

/** A file on disk. */
export const diskFile = (path: string): ReadableFile => ({
  path,
  async open(): Promise<OpenFile> {
    const handle = await open(path).catch(explainFileError(path, "read"));
    try {
      const { size } = await handle.stat();
      return {
        size,
        read: async (into, position) => (await handle.read(into, { position })).bytesRead,
        close: () => handle.close(),
      };
    } catch (error) {
      await handle.close();
      throw error;
    }
  },
});

/**
 * Looks at a checkpoint directory and its subdirectory `original`: which files there are, and whether they lie inside of
 * it. Nothing else in src/checkpoint looks for files. A link out of the directory is a problem, as a downloaded model has
 * no business with other files; Hugging Face's cache, where `snapshots/REVISION/config.json` is a link into `blobs`, is
 * allowed.
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
    const path = join(directory, name);
    files.set(name, { ...diskFile(path), problem: await problemOf(path, isInside) });
  }
  return new CheckpointFiles(directory, files);
}

/** The reason why a file must not be read, if there is one. */
async function problemOf(path: string, isInside: (path: string) => boolean): Promise<string | undefined> {
  try {
    const real = await realpath(path);
    const stats = await stat(path);
    if (!isInside(real)) return `must be inside the model directory, but links to ${real}`;
    return stats.isFile() ? undefined : "must be a file, but is a directory or a device"; // reading a pipe would block
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? "is a broken link" : `cannot be read: ${message}`;
  }
}
