import stringWidth from "string-width";
import { escapeControl } from "./terminal.js";

/** The parts of stdout that are used. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Line width of a terminal. */
const columnsOf = ({ columns }: Output): number => Math.min(columns || 80, 100);

/** Characters of scripts without spaces between words, where a line may break before and after any of them. */
const BREAKABLE = /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/u;

/** Characters that are drawn over the one before, or not at all. */
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u;

/** Columns of a terminal that a text takes up: two for wide characters, as in Chinese, and emoji. */
const widthOf = (text: string): number =>
  Array.from(text, (character) => (ZERO_WIDTH.test(character) ? 0 : stringWidth(character))).reduce(
    (sum, width) => sum + width,
    0,
  );

/**
 * Writes streamed text, indented. On a terminal, lines break between words: the beginning of a word is held back while
 * the word may still move to the next line, and everything else is written at once. In a pipe all of it is.
 */
export class WrappedText {
  /** Columns of the current line that are written, without the indentation. */
  private column = 0;
  /** Held back: spaces, and the beginning of a word. */
  private spaces = "";
  private word = "";
  /** True while the word is being written, as no line can break before it any more. */
  private placed = false;
  /** Text for the next write. */
  private ready = "";

  constructor(
    private readonly indent = "  ",
    private readonly output: Output = process.stdout,
  ) {}

  /** Accepts text in deltas of any size. */
  write(text: string): void {
    const { isTTY } = this.output;
    for (const character of isTTY ? escapeControl(text) : text) {
      if (character === "\n") this.breakLine();
      else if (!isTTY) this.put(character);
      else if (/\s/u.test(character)) this.addSpace(character);
      else this.addToWord(character);
    }
    this.flush();
  }

  /** Writes what was held back and ends the line. */
  end(): void {
    this.endWord();
    if (this.column > 0) this.breakLine();
    this.flush();
  }

  private addSpace(space: string): void {
    this.endWord();
    if (this.column === 0) this.put(space);
    else this.spaces += space; // written before the next word, unless the line breaks there
  }

  private addToWord(character: string): void {
    const width = widthOf(character);
    const isBreakable = width === 2 || (width === 1 && BREAKABLE.test(character));
    if (isBreakable) this.endWord();
    if (this.placed || (width === 0 && this.word === "")) return this.put(character);
    this.word += character;
    const end = this.column + widthOf(this.spaces + this.word);
    if (end > columnsOf(this.output) - this.indent.length && this.column > 0) {
      const { word } = this;
      this.word = "";
      this.breakLine();
      this.word = word;
    }
    if (isBreakable) this.endWord();
    else if (this.column === 0) {
      this.endWord();
      this.placed = true;
    }
  }

  private endWord(): void {
    this.placed = false;
    if (this.word === "") return;
    this.put(this.spaces + this.word);
    this.spaces = this.word = "";
  }

  private breakLine(): void {
    this.endWord();
    this.spaces = "";
    this.ready += "\n";
    this.column = 0;
  }

  private put(text: string): void {
    if (this.column === 0) this.ready += this.indent;
    this.ready += text;
    this.column = Math.max(1, this.column + widthOf(text));
  }

  private flush(): void {
    if (this.ready !== "") this.output.write(this.ready);
    this.ready = "";
  }
}
