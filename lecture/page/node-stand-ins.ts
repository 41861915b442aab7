/** Stands in for `node:path` and `node:util` in the page: what src/checkpoint uses of them. */

/** Paths here have no `..`. */
export const join = (...parts: string[]): string => parts.join("/");

/** For error messages. */
export const inspect = (value: unknown): string => JSON.stringify(value) ?? "undefined";
