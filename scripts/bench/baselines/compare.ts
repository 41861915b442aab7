import { spread } from "../measure.js";
import type { Results } from "../results.js";
import { type Table, tableOf } from "../table.js";

/** This project as a program; other executions than eager are named after it. */
export const OURS = "this project";

/** One case of one program, in one round. */
export interface RoundCase {
  /** The program. */
  readonly by: string;
  readonly useCache: boolean;
  readonly batch: number;
  readonly input: number;
  readonly output: number;
  readonly seconds: number;
  readonly firstTokenMs: number;
  readonly stepMs: number;
  /** Seconds of each run. */
  readonly samples: readonly number[];
  readonly tokensSha256: string;
}

/** One case of one program: medians of the rounds. */
export interface BaselineCase extends RoundCase {
  /** True if every round chose the tokens of the first. */
  readonly sameEachRound: boolean;
}

/** The cases of all programs. */
export interface Baselines extends Results<"baselines"> {
  readonly threads: number;
  readonly cases: readonly BaselineCase[];
}

/** Medians over the rounds, of each case of each program; and whether its tokens were the same in all of them. */
export function acrossRounds(rounds: readonly RoundCase[]): BaselineCase[] {
  const keyOf = ({ by, useCache }: RoundCase) => `${by} ${useCache}`;
  return [...new Set(rounds.map(keyOf))].map((key) => {
    const same = rounds.filter((one) => keyOf(one) === key);
    const median = (of: (one: RoundCase) => number) => spread(same.map(of)).median;
    return Object.assign({}, same[0]!, {
      seconds: median((one) => one.seconds),
      firstTokenMs: median((one) => one.firstTokenMs),
      stepMs: median((one) => one.stepMs),
      samples: same.flatMap(({ samples }) => samples),
      sameEachRound: same.every(({ tokensSha256 }) => tokensSha256 === same[0]!.tokensSha256),
    });
  });
}

/** True if a case is ours, in any execution. */
export const isOurs = ({ by }: BaselineCase): boolean => by.startsWith(OURS);

/** "same" tokens as all of ours with the same mode, "OTHERS", or "VARY": not the same in every round. */
export function tokensOf(one: BaselineCase, cases: readonly BaselineCase[]): "same" | "OTHERS" | "VARY" {
  if (!one.sameEachRound) return "VARY";
  const ours = cases.filter((other) => isOurs(other) && alike(other, one));
  return ours.every((other) => other.sameEachRound && other.tokensSha256 === one.tokensSha256)
    ? "same"
    : "OTHERS";
}

/** Times of each case, with our times relative to it, by batch and mode. */
export function ratioTable(cases: readonly BaselineCase[]): Table {
  const ways = [...new Set(cases.filter(isOurs).map(({ by }) => by))];
  const relative = ways.map((way) => {
    const text = (one: BaselineCase) => {
      const ours = cases.find((other) => other.by === way && alike(other, one));
      return isOurs(one) || !ours ? "" : `${(ours.seconds / one.seconds).toFixed(2)}x`;
    };
    return [`ratio ${way === OURS ? "eager" : way.replace(`${OURS}, `, "")}`, text] as const;
  });
  const sorted = cases.toSorted((a, b) => a.batch - b.batch || Number(b.useCache) - Number(a.useCache));
  return tableOf(sorted, {
    batch: ({ batch }) => `${batch}`,
    "KV cache": ({ useCache }) => (useCache ? "with" : "without"),
    program: ({ by }) => by.replace(OURS, "ours"),
    runs: ({ samples }) => `${samples.length}`,
    "time s": ({ seconds }) => seconds.toFixed(2),
    "TTFT ms": ({ firstTokenMs }) => firstTokenMs.toFixed(0),
    "decode ms": ({ stepMs }) => stepMs.toFixed(1),
    ...Object.fromEntries(relative),
    tokens: (one) => tokensOf(one, cases),
  });
}

const alike = (a: BaselineCase, b: BaselineCase): boolean => a.batch === b.batch && a.useCache === b.useCache;
