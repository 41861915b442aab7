import { expect } from "chai";
import { checkInCommon, movesBetween, movesTable, repeatable } from "../../scripts/bench/rerun.js";
import { measuringWords } from "../../scripts/bench/results-file.js";
import type { Case, CaseResults } from "../../scripts/bench/schema.js";
import { InputError } from "../../src/index.js";
import { spread } from "../../scripts/bench/measure.js";

/** Of a bench, what is compared: batch 1 and 8, in both modes. */
function bench(seconds: readonly number[], speedUps: readonly number[], batches = [1, 8]): CaseResults {
  const cases = batches.flatMap((batch, i) =>
    [true, false].map((useCache, mode) => {
      const time = spread([seconds[2 * i + mode]!]);
      return {
        useCache,
        execution: "eager",
        batch,
        input: 8,
        output: 4,
        seconds: time,
        firstTokenMs: spread([10]),
        stepMs: spread([5]),
      };
    }),
  ) as unknown as Case[];
  const pairs = batches.map((batch, i) => ({
    execution: "eager",
    batch,
    input: 8,
    output: 4,
    speedUp: spread([speedUps[i]!]),
  }));
  return { cases, pairs } as unknown as CaseResults;
}

describe("npm run bench -- --rerun", () => {
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
      sentence: "no median and no speed-up moved by more than 5 %; the largest move was 4.9 %",
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
        /^in [12] of 4 cases a figure moved by more than 5 %; the largest move was [57]\.5 %$/,
      );
    });
  }

  it("is refused before anything is measured where the earlier one has none of the requested cases", () => {
    checkInCommon("a.json", before, bench([1, 1, 1, 1], [1, 1], [3, 8]).cases);
    expect(() => checkInCommon("a.json", before, bench([1, 1], [1], [3]).cases)).to.throw(
      InputError,
      "a.json has none of the requested cases (KV cache with or without): batch 3 (8+4) with; batch 3 (8+4) without; it has batch 1 (8+4) with",
    );
  });

  it("is compared where both have a case, and not repeatable where they have none", () => {
    expect(movesBetween(before, bench([2, 40], [20], [8])).map(({ now }) => now.batch)).to.deep.equal([8, 8]);
    expect(repeatable(movesBetween(before, bench([1, 1], [1], [3])), 4)).to.include({ good: false });
  });

  it("says how many of the earlier cases were measured again, where some were not", () => {
    const { good, sentence } = repeatable(movesBetween(before, bench([2, 40], [20], [8])), 4);
    expect(sentence).to.match(/; 2 of 4 earlier cases were measured now$/);
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
      "--rerun",
      "c.json",
      "--no-plot",
      "--study",
      "cases",
    ];
    expect(measuringWords(words)).to.deep.equal(["--batch", "1", "--quick"]);
  });
});
