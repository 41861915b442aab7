import { expect } from "chai";
import { formatValue } from "../../src/util/format.js";

describe("formatValue", () => {
  for (const [value, shown] of [
    [undefined, "missing"],
    [null, "null"],
    [Infinity, "Infinity"],
    ['a\n"b"', '"a\\n\\"b\\""'],
    ["a".repeat(81), `"${"a".repeat(80)}…"`],
    [{ a: 1 }, "an object"],
    [[], "[]"],
    [[1, "a", null, [2], {}], '[1, "a", null, […], an object]'],
    [Array.from({ length: 1e6 }, () => 0), "[0, 0, 0, 0, 0, 0, 0, 0, …]"],
  ] as const) {
    it(`writes ${shown.slice(0, 40)}`, () => expect(formatValue(value)).to.equal(shown));
  }

  it("is short and on one line for any value", () => {
    for (const value of ["\u0000".repeat(1000), Array.from({ length: 9 }, () => "\n".repeat(1000))]) {
      expect(formatValue(value).length).to.be.below(170);
      expect(formatValue(value)).not.to.include("\n");
    }
  });
});
