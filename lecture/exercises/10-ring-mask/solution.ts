/** The position in a slot after positions 0 … end-1 were stored, each in slot p mod `slots`; -1 if there is none. */
export function positionInSlot(slot: number, end: number, slots: number): number {
  // BEGIN SOLUTION
  // START: todo(`Which is the latest position p < ${end} with p mod ${slots} = ${slot}?`);
  if (slot >= end) return -1;
  return slot + slots * Math.floor((end - 1 - slot) / slots);
  // END SOLUTION
}

/** For each slot 0 if the query may attend to its position, else -1e9. */
export function ringMask(query: number, end: number, slots: number, window: number): number[] {
  // BEGIN SOLUTION
  // START: todo(`The query at ${query} may attend to ${window} positions. Which slots are they in?`);
  return Array.from({ length: slots }, (_, slot) => {
    const position = positionInSlot(slot, end, slots);
    return position >= 0 && position <= query && position > query - window ? 0 : -1e9;
  });
  // END SOLUTION
}
