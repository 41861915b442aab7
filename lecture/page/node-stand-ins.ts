/** Replaces `node:path` and `node:util` in the page: the functions that src/checkpoint uses. */

/** Joins paths without `..`. */
export const join = (...parts: string[]): string => parts.join("/");

/** Path separator. */
export const sep = "/";

/** A path without its last component. */
export const dirname = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf(sep)));

/** Last component of a path. */
export const basename = (path: string): string => path.slice(path.lastIndexOf(sep) + 1);

/** Formats a value for error messages. */
export const inspect = (value: unknown): string => JSON.stringify(value) ?? "undefined";
