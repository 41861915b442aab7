import { type Checks, must } from "../exercise.js";

export const checks: Checks<typeof import("./start.js")> = ({ causalMask }) => {
  const picture = (T: number, S: number) =>
    causalMask(T, S).map((row) => row.map((value) => (value === 0 ? "·" : "x")).join(" "));
  const looks = (T: number, S: number, expected: string[], hint: string) => {
    const seen = picture(T, S);
    must(
      seen.join("\n") === expected.join("\n"),
      `${hint}\nYours for T = ${T}, S = ${S} (· is 0: may look; x is any other value: may not):\n  ${seen.join("\n  ")}\nexpected:\n  ${expected.join("\n  ")}`,
    );
  };
  return [
    {
      title: "the whole prefix at once, T = S: a triangle",
      run: () =>
        looks(
          3,
          3,
          ["· x x", "· · x", "· · ·"],
          "Without a cache, position t sees positions 0 to t, itself too.",
        ),
    },
    {
      title: "one new position sees everything",
      run: () =>
        looks(
          1,
          5,
          ["· · · · ·"],
          "The newest position is the last one: all others are past, nothing is hidden.",
        ),
    },
    {
      title: "several new positions after a cached past",
      run: () =>
        looks(
          2,
          5,
          ["· · · · x", "· · · · ·"],
          "The rows count fed positions, the columns all positions. Fed position t stands at S - T + t: a mask made " +
            "from T alone forgets the past that is in the cache.",
        ),
    },
    {
      title: "what is hidden is very negative, not 0 or NaN",
      run: () => {
        const hidden = causalMask(2, 2)[0]![1]!;
        must(
          hidden <= -1e8,
          `Softmax must turn a hidden score into 0, so the mask has to be very negative there; yours is ${hidden}.`,
        );
      },
    },
  ];
};
