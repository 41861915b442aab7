import { type Checks, must, mustBeClose } from "../exercise.js";

/** The checks of exercise 11. */
export const checks: Checks<typeof import("./solution.js")> = ({ quantize, dequantize, byChannel }) => [
  {
    title: "the smallest number has code 0, the largest the largest code",
    run: () => {
      for (const bits of [8, 4]) {
        const { codes } = quantize([-3, 0.5, 5], bits);
        must(
          codes[0] === 0 && codes[2] === 2 ** bits - 1,
          `With ${bits} bits, -3 must have code 0 and 5 code ${2 ** bits - 1}, yours are ${codes[0]} and ${codes[2]}.`,
        );
        must(codes.every(Number.isInteger), `Codes must be whole numbers, yours are ${codes}.`);
      }
    },
  },
  {
    title: "dequantizing is the inverse, up to half a scale",
    run: () => {
      const x = Array.from({ length: 50 }, (_, i) => Math.sin(7 * i) * 3 + 1);
      const group = quantize(x, 4);
      mustBeClose(
        dequantize(group),
        x,
        `Each number must come back within half of your scale (${group.scale}). Round to the nearest code; do not cut off.`,
        group.scale / 2 + 1e-9,
      );
    },
  },
  {
    title: "equal numbers are exact",
    run: () => {
      const x = [2.5, 2.5, 2.5];
      mustBeClose(
        dequantize(quantize(x, 8)),
        x,
        "In your group of equal numbers the range is 0: do not divide by it.",
      );
    },
  },
  {
    title: "a large channel does not spoil the others",
    run: () => {
      const keys = Array.from({ length: 16 }, (_, p) => [Math.sin(p), 100 + Math.cos(p), Math.cos(3 * p)]);
      const groups = byChannel(keys);
      must(
        groups.length === 3 && groups[0]!.length === 16,
        `There must be 3 groups of 16 numbers, one per channel, yours are ${groups.length} of ${groups[0]?.length}. In a ` +
          "group with the channel around 100, the numbers around 0 would share its scale.",
      );
      const worst = Math.max(
        ...groups.flatMap((x) => dequantize(quantize(x, 4)).map((value, i) => Math.abs(value - x[i]!))),
      );
      must(worst < 0.07, `The largest error must be below 0.07, yours is ${worst.toFixed(3)}.`);
    },
  },
];
