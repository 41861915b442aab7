/**
 * Stands in for `node:fs/promises` in the page, so that src/checkpoint reads the bundled model there as it is: files that
 * the page has in memory, and the few calls that reading takes.
 */
const files = new Map<string, Uint8Array>();

/** Puts a file where `open` and `readFile` find it. */
export function addFile(path: string, bytes: Uint8Array): void {
  files.set(path, bytes);
}

function find(path: string): Uint8Array {
  const bytes = files.get(path);
  if (bytes) return bytes;
  throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: "ENOENT" });
}

/** Its bytes. */
export async function readFile(path: string): Promise<Uint8Array> {
  return find(path);
}

/** The names of the files right in a directory. */
export async function readdir(directory: string): Promise<string[]> {
  const inside = `${directory}/`;
  const names = [...files.keys()].filter((path) => path.startsWith(inside));
  return names.map((path) => path.slice(inside.length)).filter((name) => !name.includes("/"));
}

/** Its size, and that it is a file. */
export async function stat(path: string): Promise<{ size: number; isFile(): boolean }> {
  return { size: find(path).length, isFile: () => true };
}

/** The path itself, of a file or of a directory with files in it. */
export async function realpath(path: string): Promise<string> {
  if (![...files.keys()].some((file) => file.startsWith(`${path}/`))) find(path);
  return path;
}

/** A handle that reads at a position. */
export async function open(path: string) {
  const bytes = find(path);
  return {
    stat: () => stat(path),
    close: async (): Promise<void> => {},
    read: async (into: Uint8Array, { position }: { position: number }): Promise<{ bytesRead: number }> => {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return { bytesRead: part.length };
    },
  };
}
