import pc from "picocolors";

/** Line width: that of the terminal, at most 100; 80 in a pipe. */
export const columns = (): number => Math.min(process.stdout.columns || 80, 100);

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

/** Writes streamed text to the terminal, indented and broken between words. */
export class WrappedText {
  private column = 0;
  private whitespace = ""; // written once a word follows on the same line
  private word = "";
  private hard = true; // the line starts where the text has a newline: its leading whitespace is kept

  constructor(private readonly indent = "  ") {}

  /** Accepts text in chunks of any size; a word is held back until it is complete. */
  write(text: string): void {
    for (const character of text) {
      if (!/\s/u.test(character)) {
        this.word += character;
        continue;
      }
      this.endWord();
      if (character !== "\n") {
        this.whitespace += character;
        continue;
      }
      this.newLine();
      this.hard = true;
    }
  }

  /** Writes what was held back and ends the line. */
  end(): void {
    this.endWord();
    if (this.column > 0) this.newLine();
  }

  private endWord(): void {
    if (!this.word) return;
    const width = this.whitespace.length + this.word.length;
    const limit = process.stdout.isTTY ? columns() - this.indent.length : Infinity; // not wrapped in a file
    if (this.column > 0 && this.column + width > limit) {
      this.newLine();
      this.hard = false;
    }
    const begun = this.column > 0;
    const words = begun || this.hard ? this.whitespace + this.word : this.word;
    const text = process.stdout.isTTY ? escapeControl(words) : words;
    process.stdout.write((begun ? "" : this.indent) + text);
    this.column += text.length;
    this.whitespace = "";
    this.word = "";
  }

  private newLine(): void {
    process.stdout.write("\n");
    this.column = 0;
    this.whitespace = "";
  }
}

/** A word and its colour. */
export interface Word {
  readonly text: string;
  readonly mark: (text: string) => string;
}

/** Wraps words to the width of the terminal; all lines but the first are indented. */
export function wrapWords(words: readonly Word[], indent: number): string {
  const lines: string[][] = [[]];
  let column = indent;
  for (const { text, mark } of words) {
    if (lines.at(-1)!.length > 0 && column + text.length > columns()) {
      lines.push([]);
      column = indent;
    }
    lines.at(-1)!.push(mark(text));
    column += text.length + 1;
  }
  return lines.map((line) => line.join(" ")).join(`\n${" ".repeat(indent)}`);
}

/** "1.23 s" or "45 ms". */
export const duration = (seconds: number): string =>
  seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(2)} s`;

/** "1 prompt", "4 prompts". */
export const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

/** Colours a verdict green or red. */
export const verdict = (good: boolean, text: string): string => (good ? pc.green(text) : pc.red(text));

/** Shows the step of a generation that prints no text, on a terminal. */
export function showStep(iteration: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\rstep ${iteration}`);
}

/** Clears the step counter. */
export function clearStep(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}
