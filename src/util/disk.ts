import { stat } from "node:fs/promises";
import { InputError } from "./errors.js";

/** Size in bytes of a file, or of a directory's own entry; undefined if there is neither. */
export const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );

/** Rethrows a file system error as an InputError that names the file, and any other error as it is. */
export const explainDisk =
  (path: string, what: "read" | "written" = "written") =>
  (error: unknown): never => {
    const { errno, message } = error as NodeJS.ErrnoException;
    if (errno === undefined) throw error;
    throw new InputError(`${path} cannot be ${what}: ${message}`);
  };
