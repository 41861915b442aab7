import { expect } from "chai";
import { Paste } from "../../scripts/paste.js";

/** The text that readline receives for chunks that a terminal sends. */
async function typed(...chunks: string[]): Promise<string> {
  const paste = new Paste();
  for (const chunk of chunks) paste.write(Buffer.from(chunk));
  paste.end();
  let text = "";
  for await (const part of paste) text += String(part);
  return text;
}

describe("Paste", () => {
  it("makes one line of pasted lines, wherever chunks end, and leaves typed ones", async () => {
    const all = "a\r\x1b[200~one\rtwo\r\nthree\nfour\x1b[201~\rb\r";
    const expected = "a\rone⏎two⏎three⏎four\rb\r";
    expect(await typed(all)).to.equal(expected);
    for (const at of [...all].keys()) {
      if (all[at] === "\n") continue; // terminals send \r
      expect(await typed(all.slice(0, at), all.slice(at))).to.equal(expected);
    }
    expect(Paste.restore("one⏎two")).to.equal("one\ntwo");
  });

  it("passes keys on, and every character of a text", async () => {
    expect(await typed("\x1b[A", "\x1b", "f", "\x1b[2~")).to.equal("\x1b[A\x1bf\x1b[2~");
    const text = "a\u2028b\u2029c⏎é从🐺";
    expect(await typed(text)).to.not.match(/[\u2028\u2029⏎]/); // at the first two, readline may end a line
    expect(Paste.restore(await typed(text))).to.equal(text);
  });
});
