import pc from "picocolors";

/** Line width: that of the terminal, at most 100; 80 in a pipe. */
const columns = (): number => Math.min(process.stdout.columns || 80, 100);

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

/** Writes streamed text to stdout, indented; on a terminal, lines break between words. */
export class WrappedText {
  private column = 0;
  private word = "";

  constructor(private readonly indent = "  ") {}

  /** Accepts text in chunks of any size; a word is held back until it is complete. */
  write(text: string): void {
    for (const character of text) {
      this.word += character;
      if (/\s/u.test(character)) this.endWord();
    }
  }

  /** Writes what was held back and ends the line. */
  end(): void {
    this.endWord();
    if (this.column > 0) process.stdout.write("\n");
    this.column = 0;
  }

  private endWord(): void {
    const { isTTY } = process.stdout;
    const word = isTTY ? escapeControl(this.word) : this.word;
    const limit = isTTY ? columns() - this.indent.length : Infinity;
    if (this.column > 0 && this.column + word.trimEnd().length > limit) {
      process.stdout.write("\n");
      this.column = 0;
    }
    process.stdout.write(this.column === 0 && word !== "\n" ? this.indent + word : word);
    this.column = word.endsWith("\n") ? 0 : this.column + word.length;
    this.word = "";
  }
}

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
