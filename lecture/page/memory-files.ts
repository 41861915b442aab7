/**
 * Replaces `node:fs/promises` in the page, so that src/checkpoint can read the bundled model there: files in memory, and
 * the calls that reading them needs.
 */
const files = new Map<string, Uint8Array>();

/** Adds a file for `open` and `readFile`. */
export function addFile(path: string, bytes: Uint8Array): void {
  files.set(path, bytes);
}

function find(path: string): Uint8Array {
  const bytes = files.get(path);
  if (bytes) return bytes;
  throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: "ENOENT" });
}

/** Reads a whole file. */
export async function readFile(path: string): Promise<Uint8Array> {
  return find(path);
}

/** Lists the files directly in a directory. */
export async function readdir(directory: string): Promise<string[]> {
  const inside = `${directory}/`;
  const names = [...files.keys()].filter((path) => path.startsWith(inside));
  return names.map((path) => path.slice(inside.length)).filter((name) => !name.includes("/"));
}

/** Size of a file. */
export async function stat(path: string): Promise<{ size: number; isFile(): boolean }> {
  return { size: find(path).length, isFile: () => true };
}

/** Returns the path of an existing file or directory unchanged. */
export async function realpath(path: string): Promise<string> {
  if (![...files.keys()].some((file) => file.startsWith(`${path}/`))) find(path);
  return path;
}

/** Opens a file for reading at positions. */
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
