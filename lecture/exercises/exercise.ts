/** One requirement of an exercise. It throws an `AnswerError` if the answer does not meet it. */
export interface Check {
  readonly title: string;
  readonly run: () => void | Promise<void>;
}

/** The checks of an exercise, easiest first. Each `N-name/checks.ts` exports one as `checks`. */
export type Checks<Answer> = (answer: Answer) => readonly Check[];

/** A wrong or missing answer; the message is a hint for the student. */
export class AnswerError extends Error {
  override readonly name = "AnswerError";
}

/**
 * The student's file, made from a solution: everything between `// BEGIN SOLUTION` and `// END SOLUTION` is removed, except
 * lines with `// START: `, which are uncommented.
 */
export function startOf(solution: string): string {
  const start = solution.replaceAll(
    /^ *\/\/ BEGIN SOLUTION\n([^]*?)^ *\/\/ END SOLUTION\n/gm,
    (_, block: string) =>
      [...block.matchAll(/^( *)\/\/ START: (.*\n)/gm)].map(([, indent, code]) => `${indent}${code}`).join(""),
  );
  if (!start.includes("todo(")) return start;
  return `import { todo } from "../exercise.js";\n${start.startsWith("import ") ? "" : "\n"}${start}`;
}

/**
 * Placeholder for code that the student has to write; `startOf` adds the import.
 *
 * @public
 */
export function todo(hint: string): never {
  throw new AnswerError(`This part is yours to write. ${hint}`);
}

/** @throws AnswerError with the message unless the condition holds */
export function must(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AnswerError(message);
}

/** @throws AnswerError unless the numbers are equal up to rounding; names the first that is not */
export function mustBeClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  message: string,
  tolerance = 1e-4,
): void {
  must(
    actual.length === expected.length,
    `${message}\nThe result must have ${expected.length} numbers, got ${actual.length}.`,
  );
  for (let i = 0; i < expected.length; i++) {
    const close = Math.abs(actual[i]! - expected[i]!) <= tolerance;
    must(close, `${message}\nNumber ${i} must be ${expected[i]!.toFixed(4)}, got ${actual[i]!.toFixed(4)}.`);
  }
}
