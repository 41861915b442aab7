import { type Check, NotYet } from "./exercise.js";

/** How an answer did in one check. */
export interface Grade {
  readonly title: string;
  /** What to think about; undefined where the check passes. */
  readonly problem: string | undefined;
}

/** Runs an exercise's checks in their order, and ends after the first that fails. */
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
    if (error instanceof NotYet) return error.message;
    const { name, message } = error as Error;
    return `Your code threw ${name}: ${message}`;
  }
}
