import { randomUUID } from "node:crypto";
import { open, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { explainFileError } from "../util/file-system.js";
import { InputError } from "../util/errors.js";
import { isRunning } from "../util/is-running.js";

/**
 * Reserves a directory for one download until the returned function is called. The lock names its host and process; it
 * is taken over if that process was on this host and has ended.
 *
 * @throws InputError if another download uses the directory, of this process or another, or it cannot be written
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, ".download.lock");
  const own = `${hostname()} ${process.pid} ${randomUUID()}`;
  const read = () => readFile(path, "utf8").catch(() => "");
  const unlock = async () => {
    if ((await read()) === own) await rm(path, { force: true });
  };
  if (await create(path, own)) return unlock;

  const found = await read();
  const [, host, pid, id] = /^(.+) (\d+) ([0-9a-f-]{36})$/.exec(found) ?? [];
  if (host === hostname() && !isRunning(Number(pid))) {
    const claim = `${path}.${id}`; // only the process that creates it may remove this one stale lock
    if (await create(claim, own)) {
      try {
        if ((await read()) === found) await rm(path, { force: true }).catch(explainFileError(path));
        if (await create(path, own)) return unlock;
      } finally {
        await rm(claim, { force: true });
      }
    }
  }
  const owner = pid ? `, process ${pid} on ${host}` : "";
  const hint = `wait for it, choose another directory, or delete ${path} if no download is running`;
  throw new InputError(`${directory} is in use by another download${owner}: ${hint}`);
}

/** Creates a file unless it exists; returns whether it was created. */
async function create(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, "wx");
    try {
      await file.writeFile(text);
    } catch (error) {
      await rm(path, { force: true }); // the disk is full
      throw error;
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    return explainFileError(path)(error);
  }
}
