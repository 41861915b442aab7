/**
 * Invalid input: a prompt, an option, a file. The message is one sentence, "X must be …, got …"; commands print it
 * without a stack trace and exit with code 1.
 */
export class InputError extends Error {
  override readonly name: string = "InputError";
}

/** The logits contain NaN or an infinity: damaged weights, or a backend that is out of memory. */
export class NotFiniteError extends InputError {
  override readonly name = "NotFiniteError";
}

/** Rethrows a file system error as an InputError that names the file, and any other error as it is. */
export const explainFileError =
  (path: string, what: "read" | "written" = "written") =>
  (error: unknown): never => {
    const { errno, message } = error as NodeJS.ErrnoException;
    if (errno === undefined) throw error;
    throw new InputError(`${path} cannot be ${what}: ${message}`);
  };
