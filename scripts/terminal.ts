import pc from "picocolors";

/** Columns that text may take: those of the terminal, but lines over 100 are hard to read; 80 in a pipe. */
export const columns = (): number => Math.min(process.stdout.columns ?? 80, 100);

/** Writes streamed text to the terminal, indented and broken between words. */
export class WrappedText {
  private column = 0;
  private word = "";

  constructor(private readonly indent = "  ") {}

  /** Text may come in any pieces; a word is held back until it is whole. */
  write(text: string): void {
    for (const character of text) {
      if (!/\s/u.test(character)) this.word += character;
      else this.endWord(character);
    }
  }

  /** Writes what is held back, and ends the line. */
  end(): void {
    this.endWord("\n");
  }

  private endWord(space: string): void {
    if (this.word) {
      const fits = this.column + this.word.length <= columns() - this.indent.length;
      if (!fits && this.column > 0) this.newLine();
      process.stdout.write((this.column === 0 ? this.indent : "") + this.word);
      this.column += this.word.length;
      this.word = "";
    }
    if (space === "\n") this.newLine();
    else if (this.column > 0) {
      process.stdout.write(space);
      this.column++;
    }
  }

  private newLine(): void {
    process.stdout.write("\n");
    this.column = 0;
  }
}

/** "1.23 s" or "45 ms". */
export const duration = (seconds: number): string =>
  seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(2)} s`;

/** "12.3 MB", in millions of bytes as the source document counts. */
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** Green for good news, red for bad, where there is colour. */
export const verdict = (good: boolean, text: string): string => (good ? pc.green(text) : pc.red(text));
