import { type Checks, must } from "../exercise.js";

/** The checks of exercise 10. */
export const checks: Checks<typeof import("./solution.js")> = ({ positionInSlot, ringMask }) => {
  const positions = (end: number, slots: number) =>
    `${Array.from({ length: slots }, (_, slot) => positionInSlot(slot, end, slots))}`;
  /** The positions that a query may attend to, in the order of positions. */
  const visible = (query: number, end: number, slots: number, window: number) => {
    const mask = ringMask(query, end, slots, window);
    must(
      mask.length === slots,
      `The mask must have a number for each of ${slots} slots, got ${mask.length}.`,
    );
    const seen = mask.flatMap((value, slot) => (value === 0 ? [positionInSlot(slot, end, slots)] : []));
    return `${seen.toSorted((a, b) => a - b)}`;
  };
  return [
    {
      title: "slots that were never written are empty",
      run: () =>
        must(
          positions(3, 5) === "0,1,2,-1,-1",
          `After 3 positions, the 5 slots must hold 0,1,2,-1,-1, yours are ${positions(3, 5)}.`,
        ),
    },
    {
      title: "a slot holds the latest of its positions",
      run: () => {
        must(
          positions(7, 5) === "5,6,2,3,4",
          `After 7 positions, the 5 slots must hold 5,6,2,3,4, yours are ${positions(7, 5)}.`,
        );
        must(
          positions(15, 5) === "10,11,12,13,14",
          `After 15 positions, the 5 slots must hold 10 … 14, yours are ${positions(15, 5)}.`,
        );
      },
    },
    {
      title: "a query attends to the last W positions, itself included",
      run: () => {
        const seen = visible(6, 7, 5, 3);
        must(
          seen === "4,5,6",
          `With a window of 3, position 6 must attend to 4,5,6, with your mask it does to ${seen}.`,
        );
      },
    },
    {
      title: "earlier queries of a chunk do not attend to later positions",
      run: () => {
        const seen = visible(5, 8, 6, 3);
        must(
          seen === "3,4,5",
          `Positions 5, 6, 7 were stored together; position 5 must attend to 3,4,5, with your mask it does to ${seen}. ` +
            "The ring already holds 6 and 7.",
        );
      },
    },
    {
      title: "empty slots are hidden",
      run: () => {
        const seen = visible(1, 2, 6, 4);
        must(
          seen === "0,1",
          `After 2 positions, position 1 must attend to 0,1 only, with your mask it does to ${seen}.`,
        );
      },
    },
  ];
};
