import { AnswerError, type Check } from "./exercise.js";

/** Result of one check. */
export interface Grade {
  readonly title: string;
  /** A hint for the student; undefined if the check passes. */
  readonly problem: string | undefined;
}

/** Runs an exercise's checks in order and stops after the first that fails. */
export async function grade(checks: readonly Check[]): Promise<Grade[]> {
  const grades: Grade[] = [];
  for (const { title, run } of checks) {
    const problem = await attempt(run);
    grades.push({ title, problem });
    if (problem !== undefined) break;
  }
  return grades;
}

async function attempt(run: Check["run"]): Promise<string | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    if (error instanceof AnswerError) return error.message;
    const { name, message } = error as Error;
    return `Your code threw ${name}: ${message}`;
  }
}
