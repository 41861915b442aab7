import { InputError } from "../../src/index.js";
import { type CaseSpec, modeName, modesOf, samePair } from "./case.js";
import type { Case, CaseResults } from "./schema.js";
import { alignedTable, namerOf, tableOf } from "./table.js";

/** The largest relative change of a median or speed-up in a rerun on an idle machine. */
const TOLERANCE = 0.05;

const earlierCase = (spec: CaseSpec, { cases }: Pick<CaseResults, "cases">): Case | undefined =>
  modesOf(cases, spec)[spec.useCache ? 0 : 1];

/**
 * Rejects a rerun that cannot be compared.
 *
 * @throws InputError where the earlier bench measured none of the cases
 */
export function checkInCommon(file: string, earlier: CaseResults, specs: readonly CaseSpec[]): void {
  if (specs.some((spec) => earlierCase(spec, earlier))) return;
  const cases = (some: readonly CaseSpec[]) =>
    some.map((one) => `batch ${one.batch} (${one.input}+${one.output}) ${modeName(one)}`).join("; ");
  throw new InputError(
    `${file} has none of the requested cases (KV cache with or without): ${cases(specs)}; it has ${cases(earlier.cases)}`,
  );
}

/** Changes of a case's medians, as a fraction of the earlier ones, and of its pair's speed-up, where both have one. */
export interface Moves {
  readonly before: Case;
  readonly now: Case;
  readonly seconds: number;
  readonly firstTokenMs: number;
  readonly stepMs: number;
  readonly speedUp: number | undefined;
}

/** Of all cases that both benches have. */
export function movesBetween(before: CaseResults, now: CaseResults): Moves[] {
  const speedUpOf = ({ pairs }: CaseResults, one: Case) =>
    pairs.find((pair) => samePair(pair, one))?.speedUp.median;
  const moved = (was: number, is: number): number => is / was - 1;
  return now.cases.flatMap((one) => {
    const earlier = earlierCase(one, before);
    if (!earlier) return [];
    const [was, is] = [speedUpOf(before, one), speedUpOf(now, one)];
    return {
      before: earlier,
      now: one,
      seconds: moved(earlier.seconds.median, one.seconds.median),
      firstTokenMs: moved(earlier.firstTokenMs.median, one.firstTokenMs.median),
      stepMs: moved(earlier.stepMs.median, one.stepMs.median),
      speedUp: was === undefined || is === undefined ? undefined : moved(was, is),
    };
  });
}

/**
 * Compares the moves with 5 %: `good` if none is larger; `sentence` says how far the worst figure moved.
 *
 * @param earlier number of cases of the earlier bench, of which not all need have been measured now
 */
export function repeatable(moves: readonly Moves[], earlier: number): { good: boolean; sentence: string } {
  if (moves.length === 0) return { good: false, sentence: "no case was measured both times" };
  const largest = moves.map((one) =>
    Math.max(...[one.seconds, one.firstTokenMs, one.stepMs, one.speedUp ?? 0].map(Math.abs)),
  );
  const beyond = largest.filter((figure) => figure > TOLERANCE).length;
  const limit = `moved by more than ${100 * TOLERANCE} %; the largest move was ${percent(Math.max(...largest)).slice(1)}`;
  const sentence =
    beyond === 0
      ? `no median and no speed-up ${limit}`
      : `in ${beyond} of ${moves.length} cases a figure ${limit}`;
  const part =
    moves.length < earlier ? `; ${moves.length} of ${earlier} earlier cases were measured now` : "";
  return { good: beyond === 0, sentence: sentence + part };
}

/** Medians before and now, and how far they moved, in 80 columns. */
export function movesTable(moves: readonly Moves[]): string {
  const nameOf = namerOf(moves.map(({ now }) => now));
  const table = tableOf(moves, {
    batch: ({ now }) => nameOf(now),
    "KV cache": ({ now }) => modeName(now),
    "time s before": ({ before }) => before.seconds.median.toFixed(2),
    "time s now": ({ now }) => now.seconds.median.toFixed(2),
    "time moved": ({ seconds }) => percent(seconds),
    "TTFT moved": ({ firstTokenMs }) => percent(firstTokenMs),
    "decode moved": ({ stepMs }) => percent(stepMs),
    "speed-up moved": ({ speedUp }) => (speedUp === undefined ? "-" : percent(speedUp)),
  });
  return alignedTable(table);
}

const percent = (fraction: number): string =>
  `${fraction < 0 ? "-" : "+"}${(100 * Math.abs(fraction)).toFixed(1)} %`;
