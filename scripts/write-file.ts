import { rename, rm, writeFile } from "node:fs/promises";
import { InputError } from "../src/index.js";

/** Writes results as JSON, by lines that a person can read. */
export function writeResults(file: string, results: unknown): Promise<void> {
  return writeWhole(file, `${JSON.stringify(results, null, 1)}\n`);
}

/** Writes a file: to a temporary one first, so that what was there stays whole until this is. */
export async function writeWhole(file: string, text: string): Promise<void> {
  try {
    await writeFile(`${file}.tmp`, text);
    await rename(`${file}.tmp`, file);
  } catch (error) {
    await rm(`${file}.tmp`, { force: true });
    throw new InputError(`${file} cannot be written: ${(error as Error).message}`);
  }
}

/** Refuses a results file that could not be written, before anything is measured; what is there stays as it is. */
export async function checkWritable(file: string): Promise<void> {
  try {
    await writeFile(`${file}.tmp`, "");
    await rm(`${file}.tmp`);
  } catch (error) {
    throw new InputError(`${file} cannot be written: ${(error as Error).message}`);
  }
}
