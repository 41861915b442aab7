/** Stands in for `node:path` and `node:util` in the page: what src/checkpoint uses of them. */

/** Paths here have no `..`. */
export const join = (...parts: string[]): string => parts.join("/");

/** Between the parts of a path. */
export const sep = "/";

/** All before the last part. */
export const dirname = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf(sep)));

/** The last part. */
export const basename = (path: string): string => path.slice(path.lastIndexOf(sep) + 1);

/** For error messages. */
export const inspect = (value: unknown): string => JSON.stringify(value) ?? "undefined";
