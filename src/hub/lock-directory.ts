import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { explainFileError } from "../util/file-system.js";
import { InputError } from "../util/errors.js";
import { isRunning } from "../util/is-running.js";

/**
 * Reserves a directory for this process's download until the returned function is called. Locks of processes that have
 * ended are removed. A process writes its lock before it looks for others: of two that start at the same moment both may
 * be rejected, but never do both go on.
 *
 * @throws InputError if another download uses the directory
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const own = join(directory, `.download-${process.pid}.lock`);
  const unlock = () => rm(own, { force: true });
  await writeFile(own, "").catch(explainFileError(own));
  for (const name of await readdir(directory)) {
    const pid = Number(/^\.download-(\d+)\.lock$/.exec(name)?.[1] ?? process.pid);
    if (pid === process.pid) continue;
    const other = join(directory, name);
    if (isRunning(pid)) {
      await unlock();
      const hint = `wait for it, choose another directory, or delete ${other} if it is no download`;
      throw new InputError(`${directory} is in use by another download, process ${pid}: ${hint}`);
    }
    await rm(other, { force: true });
  }
  return unlock;
}
