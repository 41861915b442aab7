import { expect } from "chai";
import {
  checkInCommon,
  measuringWords,
  movesBetween,
  movesTable,
  repeatable,
} from "../../scripts/bench/rerun.js";
import type { BenchResults, Cell } from "../../scripts/bench/case.js";
import { InputError } from "../../src/index.js";
import { spread } from "../../scripts/bench/measure.js";

/** Of a bench, what is compared: batch 1 and 8, in both modes. */
function bench(seconds: readonly number[], speedUps: readonly number[], batches = [1, 8]): BenchResults {
  const cells = batches.flatMap((batch, i) =>
    [true, false].map((useCache, mode) => {
      const time = spread([seconds[2 * i + mode]!]);
      return { useCache, execution: "eager", batch, input: 8, output: 4, seconds: time, firstTokenMs: spread([10]), stepMs: spread([5]) }; // prettier-ignore
    }),
  ) as unknown as Cell[];
  const pairs = batches.map((batch, i) => ({ execution: "eager", batch, input: 8, output: 4, speedUp: spread([speedUps[i]!]) })); // prettier-ignore
  return { cells, pairs } as unknown as BenchResults;
}

describe("A bench that is repeated", () => {
  const before = bench([1, 10, 2, 40], [10, 20]);

  it("is repeatable where no median and no speed-up moved by more than 5 %, up or down", () => {
    const moves = movesBetween(before, bench([1.049, 9.6, 2, 40], [10, 20.9]));
    expect(moves.map(({ seconds, speedUp }) => [seconds.toFixed(3), speedUp?.toFixed(3)])).to.deep.equal([
      ["0.049", "0.000"],
      ["-0.040", "0.000"],
      ["0.000", "0.045"],
      ["0.000", "0.045"],
    ]);
    expect(repeatable(moves, 4)).to.deep.equal({
      good: true,
      sentence: "no median and no speed-up moved by more than 5 %; the most was 4.9 %",
    });
  });

  for (const [what, now] of [
    ["a time", bench([1, 10, 2, 37], [10, 20])],
    ["a speed-up", bench([1, 10, 2, 40], [10, 18.9])],
  ] as const) {
    it(`is not where ${what} did`, () => {
      const { good, sentence } = repeatable(movesBetween(before, now), 4);
      expect(good).to.equal(false);
      expect(sentence).to.match(
        /^in [12] of 4 cells a figure moved by more than 5 %; the most was [57]\.5 %$/,
      );
    });
  }

  it("is refused before anything is measured where no cell was asked for that the earlier one has", () => {
    checkInCommon("a.json", before, bench([1, 1, 1, 1], [1, 1], [3, 8]).cells);
    expect(() => checkInCommon("a.json", before, bench([1, 1], [1], [3]).cells)).to.throw(
      InputError,
      "a.json has none of the cells asked for (KV cache with or without): batch 3 (8+4) with; batch 3 (8+4) without; it has batch 1 (8+4) with",
    );
  });

  it("is compared where both have a cell, and not repeatable where they have none", () => {
    expect(movesBetween(before, bench([2, 40], [20], [8])).map(({ now }) => now.batch)).to.deep.equal([8, 8]);
    expect(repeatable(movesBetween(before, bench([1, 1], [1], [3])), 4)).to.include({ good: false });
  });

  it("says how many of the earlier cells were measured again, where some were not", () => {
    const { good, sentence } = repeatable(movesBetween(before, bench([2, 40], [20], [8])), 4);
    expect(sentence).to.match(/; 2 of 4 earlier cells were measured now$/);
    expect(good).to.equal(true);
  });

  it("is shown in 80 columns", () => {
    const moves = movesBetween(before, bench([123.45, 678.9, 2, 40], [10, 20]));
    expect(
      movesTable(moves)
        .split("\n")
        .filter((line) => line.length > 80),
    ).to.deep.equal([]);
  });

  it("keeps the words that say what to measure, and none about files", () => {
    const words = [
      "--batch",
      "1",
      "--json",
      "a.json",
      "--plot=b",
      "--quick",
      "--again",
      "c.json",
      "--no-plot",
    ];
    expect(measuringWords(words)).to.deep.equal(["--batch", "1", "--quick"]);
  });
});
