import pc from "picocolors";

/** Escapes terminal control characters in text of a model or a file, as in "\x1b". */
export const escapeControl = (text: string): string =>
  text.replaceAll(
    /[^\P{Cc}\t\n]/gu,
    (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );

/** JSON in which U+007F to U+009F, which JSON.stringify leaves as they are, are escaped as well. */
export const jsonOf = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replaceAll(
    /[\x7f-\x9f]/g,
    (control) => `\\u00${control.charCodeAt(0).toString(16)}`,
  );

/** "1.23 s" or "45 ms". */
export const duration = (seconds: number): string =>
  seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(2)} s`;

/** "1 prompt", "4 prompts". */
export const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

/** Colours a verdict green or red. */
export const verdict = (good: boolean, text: string): string => (good ? pc.green(text) : pc.red(text));

/** Shows what goes on while nothing is printed, on a terminal. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** Clears the line of `showProgress`. */
export function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}
