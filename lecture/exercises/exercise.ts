/** One thing that an answer must do. It throws where it does not; the message says what to think about. */
export interface Check {
  readonly title: string;
  readonly run: () => void | Promise<void>;
}

/** An exercise's test: what an answer must do, easiest first. Each `N-name/checks.ts` exports one as `checks`. */
export type Checks<Answer> = (answer: Answer) => readonly Check[];

/** An answer is not right yet. Its message is for the student. */
export class NotYet extends Error {
  override readonly name = "NotYet";
}

/** Thrown by the parts that are left out. */
export function yourTurn(what: string): never {
  throw new NotYet(`this part is yours to write: ${what}`);
}

/** @throws NotYet with the message unless the claim holds */
export function must(claim: boolean, message: string): asserts claim {
  if (!claim) throw new NotYet(message);
}

/** @throws NotYet unless the numbers agree to rounding; names the first that do not */
export function mustBeClose(
  seen: ArrayLike<number>,
  expected: ArrayLike<number>,
  message: string,
  tolerance = 1e-4,
): void {
  must(
    seen.length === expected.length,
    `${message}\nThere are ${seen.length} numbers, expected ${expected.length}.`,
  );
  for (let i = 0; i < expected.length; i++) {
    const close = Math.abs(seen[i]! - expected[i]!) <= tolerance;
    must(close, `${message}\nNumber ${i} is ${seen[i]!.toFixed(4)}, expected ${expected[i]!.toFixed(4)}.`);
  }
}
