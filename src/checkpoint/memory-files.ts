import { CheckpointFiles } from "./checkpoint-files.js";
import type { ReadableFile } from "./readable-file.js";

/**
 * A checkpoint whose files are in memory, as in a browser, where they were fetched or dropped by the reader.
 *
 * @param name  of the checkpoint in errors
 * @param files the bytes of each file by its name, such as "config.json"; they are not copied
 */
export function memoryFiles(
  name: string,
  files: Iterable<readonly [name: string, bytes: Uint8Array]>,
): CheckpointFiles {
  const entries = Array.from(files, ([file, bytes]) => [file, memoryFile(`${name}/${file}`, bytes)] as const);
  return new CheckpointFiles(name, new Map(entries));
}

const memoryFile = (path: string, bytes: Uint8Array): ReadableFile => ({
  path,
  open: async () => ({
    size: bytes.length,
    async read(into, position) {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
    close: async () => {},
  }),
});
