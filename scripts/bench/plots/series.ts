import { modesOf } from "../case.js";
import { spread } from "../measure.js";
import type { Case } from "../schema.js";

/** The cases of both modes of a pair: [without, with]. */
export const bothModes = (cases: readonly Case[], like: Case): [Case, Case] =>
  modesOf(cases, like).toReversed() as [Case, Case];

/** Every case with the cache that was also measured without it. */
export const pairedCases = (cases: readonly Case[]): Case[] =>
  cases.filter((one) => one.useCache && modesOf(cases, one)[1] !== undefined);

/** The time of every step of every run: one list per run, [prefill, decode steps]. */
function stepsByRun({ firstTokenMs, stepMs, output }: Case): number[][] {
  return firstTokenMs.samples.map((first, run) => [
    first,
    ...stepMs.samples.slice(run * (output - 1), (run + 1) * (output - 1)),
  ]);
}

/** The median over the runs, of every step. */
export function medianSteps(one: Case): number[] {
  const runs = stepsByRun(one);
  return runs[0]!.map((_, step) => spread(runs.map((run) => run[step]!)).median);
}

/** The speed-up of generations that end after 1, 2, … tokens: medians over the runs, taken in pairs. */
export function speedUpByLength(uncached: Case, cached: Case): number[] {
  const sums = (steps: readonly number[]) => {
    let sum = 0;
    return steps.map((ms) => (sum += ms));
  };
  const [fast, slow] = [cached, uncached].map((one) => stepsByRun(one).map(sums));
  const pairs = fast!.slice(0, slow!.length);
  return fast![0]!.map((_, i) => spread(pairs.map((run, at) => slow![at]![i]! / run[i]!)).median);
}

/**
 * The first position from which on a step without the cache takes longer than one with it. Single steps are noisy, so
 * medians of each step and its two neighbours on either side are compared. Undefined where there is none.
 */
export function crossover(cached: Case, uncached: Case): number | undefined {
  const smooth = (steps: number[]) =>
    steps.map((_, i) => spread(steps.slice(Math.max(1, i - 2), i + 3)).median).slice(1);
  const [fast, slow] = [smooth(medianSteps(cached)), smooth(medianSteps(uncached))];
  const lastSlower = fast.findLastIndex((ms, i) => ms >= slow[i]!);
  return lastSlower === fast.length - 1 ? undefined : cached.input + 1 + lastSlower + 1;
}
