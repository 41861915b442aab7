import { expect } from "chai";
import { type Output, WrappedText } from "../../scripts/wrapped-text.js";

describe("WrappedText", () => {
  /** Writes deltas and returns what each of them wrote, and the end. */
  function written(deltas: readonly string[], output: Omit<Output, "write">, indent = "  "): string[] {
    let text = "";
    const wrapped = new WrappedText(indent, { ...output, write: (more) => (text += more) });
    const take = () => {
      const taken = text;
      text = "";
      return taken;
    };
    const each = deltas.map((delta) => {
      wrapped.write(delta);
      return take();
    });
    wrapped.end();
    return [...each, take()];
  }
  const terminal = { isTTY: true, columns: 12 }; // 10 without the indentation

  it("writes everything at once in a pipe, indented", () => {
    const deltas = ["On", "ce up", "on\n\n a", "  b "];
    expect(written(deltas, {})).to.deep.equal(["  On", "ce up", "on\n\n   a", "  b ", "\n"]);
  });

  it("breaks lines between words on a terminal, and holds back only a word that may move", () => {
    const deltas = ["Onc", "e upo", "n a ti", "me", "!"];
    expect(written(deltas, terminal)).to.deep.equal(["  Onc", "e", " upon\n  a", "", "", " time!\n"]);
  });

  it("drops the spaces where a line breaks, and keeps those at its beginning", () => {
    expect(written(["abcdefghij klm\n  x  y"], terminal).join("")).to.equal(
      "  abcdefghij\n  klm\n    x  y\n",
    );
  });

  it("writes a long word at once from where no line can break before it", () => {
    const deltas = ["see htt", "ps://a", "b.c/", "defghijkl", "mn op"];
    const expected = ["  see", "\n  https://a", "b.c/", "defghijkl", "mn\n  op", "\n"];
    expect(written(deltas, terminal)).to.deep.equal(expected);
  });

  for (const [language, deltas, expected] of [
    ["Chinese", ["从前", "有一个", "国王"], ["  从前", "有一个", "\n  国王", "\n"]],
    ["Thai", ["กาลครั้ง", "หนึ่งนาน"], ["  กาลครั้ง", "หนึ่งน\n  าน", "\n"]],
    ["Chinese after a word", ["a b从", "前"], ["  a b从", "前", "\n"]],
  ] as const) {
    it(`writes ${language} at once, in columns: wide characters have two`, () => {
      expect(written(deltas, terminal)).to.deep.equal(expected);
    });
  }

  it("escapes control characters on a terminal only", () => {
    expect(written(["\x1b[2J"], terminal).join("")).to.equal("  \\x1b[2J\n");
    expect(written(["\x1b[2J"], {}).join("")).to.equal("  \x1b[2J\n");
  });
});
