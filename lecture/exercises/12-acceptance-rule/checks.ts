import { type Checks, must, mustBeClose } from "../exercise.js";

const P = [0.5, 0.3, 0.2];
const Q = [0.2, 0.2, 0.6];

/** The checks of exercise 12. */
export const checks: Checks<typeof import("./solution.js")> = ({ accepts, afterRejection }) => {
  /** Share of draws for which a guess is accepted. */
  const share = (guess: number, p = P, q = Q) => {
    const draws = Array.from({ length: 1000 }, (_, i) => (i + 0.5) / 1000);
    return draws.filter((draw) => accepts(p, q, guess, draw)).length / 1000;
  };
  return [
    {
      title: "a guess that the model likes at least as much is always accepted",
      run: () =>
        must(
          share(0) === 1,
          `p/q is 2.5 for token 0: it must always be accepted, yours is in ${100 * share(0)} %.`,
        ),
    },
    {
      title: "another is accepted with probability p/q",
      run: () => {
        must(
          Math.abs(share(2) - 1 / 3) < 0.01,
          `Token 2 has p = 0.2 and q = 0.6: it must be accepted in a third of all draws, yours is in ${100 * share(2)} %.`,
        );
        must(
          share(0, [0, 1], [1, 0]) === 0,
          "Your rule must never accept a token of probability 0 by the model.",
        );
      },
    },
    {
      title: "after a rejection, only tokens that the draft guesses too rarely",
      run: () =>
        mustBeClose(
          afterRejection(P, Q),
          [0.75, 0.25, 0],
          "max(0, p - q) is 0.3, 0.1, 0 and must be normalised. Drawing from p again would give token 2 too often.",
        ),
    },
    {
      title: "together they have the model's distribution",
      run: () => {
        const rest = afterRejection(P, Q);
        const accepted = Q.map((q, token) => q * share(token));
        const rejected = 1 - accepted.reduce((sum, value) => sum + value, 0);
        mustBeClose(
          accepted.map((value, token) => value + rejected * rest[token]!),
          P,
          "Probability of being guessed and accepted, plus that of being drawn after a rejection, must be p.",
          0.002,
        );
      },
    },
  ];
};
