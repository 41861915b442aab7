import { stat } from "node:fs/promises";
import { InputError } from "../util/errors.js";

/** The size of a file, or of a directory's own entry; undefined where there is neither. */
export const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );

/** Throws an error of the disk in words that name the file; any other as it is. */
export const explainDisk =
  (path: string, what: "read" | "written" = "written") =>
  (error: unknown): never => {
    const { errno, message } = error as NodeJS.ErrnoException;
    if (errno === undefined) throw error;
    throw new InputError(`${path} cannot be ${what}: ${message}`);
  };
