import pc from "picocolors";

/** Columns that text may take: those of the terminal, but lines over 100 are hard to read; 80 in a pipe. */
export const columns = (): number => Math.min(process.stdout.columns || 80, 100);

/** Text of a model or a file as a terminal may show it: what would control the terminal is spelled out, "\x1b". */
export const escapeControl = (text: string): string =>
  text.replaceAll(
    /[^\P{Cc}\t\n]/gu,
    (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );

/** JSON as a terminal may show it: U+007F to U+009F, which it leaves as they are, are spelled out, and mean the same. */
export const jsonOf = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replaceAll(
    /[\x7f-\x9f]/g,
    (control) => `\\u00${control.charCodeAt(0).toString(16)}`,
  );

/** Writes streamed text to the terminal, indented and broken between words. */
export class WrappedText {
  private column = 0;
  private blanks = ""; // written only once a word follows them on the same line
  private word = "";
  private hard = true; // this line was begun by the text, whose blanks then belong to it, and not by us

  constructor(private readonly indent = "  ") {}

  /** Text may come in any pieces; a word is held back until it is whole. */
  write(text: string): void {
    for (const character of text) {
      if (!/\s/u.test(character)) {
        this.word += character;
        continue;
      }
      this.endWord();
      if (character !== "\n") {
        this.blanks += character;
        continue;
      }
      this.newLine();
      this.hard = true;
    }
  }

  /** Writes what is held back, and ends the line if there is one. */
  end(): void {
    this.endWord();
    if (this.column > 0) this.newLine();
  }

  private endWord(): void {
    if (!this.word) return;
    const width = this.blanks.length + this.word.length;
    const limit = process.stdout.isTTY ? columns() - this.indent.length : Infinity; // in a file, the text as it is
    if (this.column > 0 && this.column + width > limit) {
      this.newLine();
      this.hard = false;
    }
    const begun = this.column > 0;
    const words = begun || this.hard ? this.blanks + this.word : this.word;
    const text = process.stdout.isTTY ? escapeControl(words) : words;
    process.stdout.write((begun ? "" : this.indent) + text);
    this.column += text.length;
    this.blanks = "";
    this.word = "";
  }

  private newLine(): void {
    process.stdout.write("\n");
    this.column = 0;
    this.blanks = "";
  }
}

/** A word, and what colours it. */
export interface Word {
  readonly text: string;
  readonly mark: (text: string) => string;
}

/** Words broken into lines of the terminal's width; all but the first are indented. */
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

/** Green for good news, red for bad, where there is colour. */
export const verdict = (good: boolean, text: string): string => (good ? pc.green(text) : pc.red(text));

/** Counts the steps of a generation that shows no text, on a terminal only. */
export function showStep(iteration: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\rstep ${iteration}`);
}

/** Takes the count away again. */
export function clearStep(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}
