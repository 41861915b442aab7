import { Transform } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** Stand-ins for characters at which readline ends a line, and for the visible one of them. */
const STAND_INS = [
  ["⏎", "\uFDD0"],
  ["\u2028", "\uFDD1"],
  ["\u2029", "\uFDD2"],
] as const;

const ESCAPE = "\x1b";
const [BEGIN, END] = [`${ESCAPE}[200~`, `${ESCAPE}[201~`];
const MARKS = new RegExp(`(${ESCAPE}\\[20[01]~)`);

/** The beginning of a mark at the end of a chunk; a lone Esc waits for the next key, with which it is one. */
const INCOMPLETE = new RegExp(`${ESCAPE}(?:\\[(?:20?[01]?)?)?$`);

/**
 * Makes one line of several that are pasted: between the marks that terminals put around pasted text in "bracketed paste"
 * mode, line ends become a visible stand-in, which `restore` turns into \n.
 */
export class Paste extends Transform {
  private readonly decoder = new StringDecoder("utf8");
  private held = "";
  private isPasted = false;

  /** The text that a line stands for. */
  static restore(line: string): string {
    const text = line.replaceAll("⏎", "\n");
    return STAND_INS.reduce((restored, [own, standIn]) => restored.replaceAll(standIn, own), text);
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: (error: null, text: string) => void): void {
    const text = this.held + this.decoder.write(chunk);
    this.held = INCOMPLETE.exec(text)?.[0] ?? "";
    let shown = "";
    for (const part of text.slice(0, text.length - this.held.length).split(MARKS)) {
      if (part === BEGIN || part === END) this.isPasted = part === BEGIN;
      else shown += this.isPasted ? plain(part).replaceAll(/\r\n?|\n/g, "⏎") : plain(part);
    }
    done(null, shown);
  }
}

const plain = (text: string): string =>
  STAND_INS.reduce((replaced, [own, standIn]) => replaced.replaceAll(own, standIn), text);
