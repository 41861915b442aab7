import { type Checks, must } from "../exercise.js";

/** The checks of exercise 1. */
export const checks: Checks<typeof import("./solution.js")> = ({ causalMask }) => {
  const picture = (T: number, S: number) =>
    causalMask(T, S).map((row) => row.map((value) => (value === 0 ? "·" : "x")).join(" "));
  const mustLook = (T: number, S: number, expected: string[], hint: string) => {
    const actual = picture(T, S);
    must(
      actual.join("\n") === expected.join("\n"),
      `${hint}\nYour mask for T = ${T}, S = ${S} (· is 0, visible; x is any other value, hidden):\n` +
        `  ${actual.join("\n  ")}\nIt must be:\n  ${expected.join("\n  ")}`,
    );
  };
  return [
    {
      title: "T = S, the whole prefix: a triangle",
      run: () =>
        mustLook(
          3,
          3,
          ["· x x", "· · x", "· · ·"],
          "Without the cache, position t attends to positions 0 to t, including itself.",
        ),
    },
    {
      title: "T = 1: the new position attends to everything",
      run: () =>
        mustLook(
          1,
          5,
          ["· · · · ·"],
          "The new position is the last one. All others are in the past, so nothing is hidden.",
        ),
    },
    {
      title: "several new positions after a cached past",
      run: () =>
        mustLook(
          2,
          5,
          ["· · · · x", "· · · · ·"],
          "Rows are the new positions, columns are all positions. Row t is position S - T + t: a mask that depends " +
            "on T alone hides the cached past.",
        ),
    },
    {
      title: "hidden values are very negative, not NaN",
      run: () => {
        const hidden = causalMask(2, 2)[0]![1]!;
        must(
          hidden <= -1e8,
          `Softmax must turn a hidden score into 0, so the mask must be very negative there, got ${hidden}.`,
        );
      },
    },
  ];
};
