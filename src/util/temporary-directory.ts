import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "./errors.js";

/**
 * Makes a directory for files that this process needs for a while and takes away itself.
 *
 * @param name what its name begins with
 * @throws InputError where the system's directory for such is full, missing or not to be written
 */
export function temporaryDirectory(name: string): string {
  try {
    return mkdtempSync(join(tmpdir(), `${name}-`));
  } catch (error) {
    const reason = (error as Error).message.replace(/, mkdtemp .*/s, "");
    throw new InputError(
      `no temporary directory can be made in ${tmpdir()}: ${reason}; expected room there, or in the place that TMPDIR names`,
    );
  }
}
