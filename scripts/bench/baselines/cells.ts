import type { Machine } from "../../machine.js";
import { spread } from "../measure.js";
import type { Cell } from "../case.js";
import { alignedTable, type Table } from "../table.js";

/** One cell of ours or of another's; `by` says whose. */
export interface AgainstCell {
  readonly by: string;
  readonly useCache: boolean;
  readonly batch: number;
  readonly input: number;
  readonly output: number;
  readonly seconds: number;
  readonly firstTokenMs: number;
  readonly stepMs: number;
  readonly samples: readonly number[];
  /** Of the first round. */
  readonly tokensSha256: string;
  /** Whether every round chose those tokens; missing in older files, and of one round. */
  readonly sameEachRound?: boolean;
}

/** What `npm run against` writes. */
export interface AgainstResults {
  readonly date: string;
  readonly command: readonly string[];
  readonly machine: Machine;
  readonly commit: string | null;
  readonly changed: boolean | null;
  readonly backend: string;
  readonly torch: string;
  readonly transformers: string;
  /** Through which package llama.cpp was run; missing where it was not. */
  readonly llamaCpp?: string;
  readonly threads: number;
  readonly model: string;
  readonly cells: readonly AgainstCell[];
}

/** Whose a cell of ours is; where the step was recorded, that is said after it. */
export const OURS = "this project";

/** What scripts/bench/baselines/peer.py writes, as far as it is read here. */
export interface PeerFile {
  readonly torch: string;
  readonly transformers: string;
  readonly cells: readonly (AgainstCell & { readonly attention: string })[];
}

/** A cell of ours. */
export function fromBench({
  execution,
  useCache,
  batch,
  input,
  output,
  seconds,
  firstTokenMs,
  stepMs,
  tokensSha256,
}: Cell): AgainstCell {
  const by = execution === "eager" ? OURS : `${OURS}, ${execution}`;
  const medians = { seconds: seconds.median, firstTokenMs: firstTokenMs.median, stepMs: stepMs.median };
  return { by, useCache, batch, input, output, ...medians, samples: seconds.samples, tokensSha256 };
}

/** Medians over the rounds, of each cell of each; and whether its tokens were the same in all of them. */
export function acrossRounds(rounds: readonly AgainstCell[]): AgainstCell[] {
  const keyOf = ({ by, useCache }: AgainstCell) => `${by} ${useCache}`;
  return [...new Set(rounds.map(keyOf))].map((key) => {
    const same = rounds.filter((cell) => keyOf(cell) === key);
    const median = (of: (cell: AgainstCell) => number) => spread(same.map(of)).median;
    return Object.assign({}, same[0]!, {
      seconds: median((cell) => cell.seconds),
      firstTokenMs: median((cell) => cell.firstTokenMs),
      stepMs: median((cell) => cell.stepMs),
      samples: same.flatMap(({ samples }) => samples),
      sameEachRound: same.every(({ tokensSha256 }) => tokensSha256 === same[0]!.tokensSha256),
    });
  });
}

/** Whether a cell is ours, however it was executed. */
export const isOurs = ({ by }: AgainstCell): boolean => by.startsWith(OURS);

/** Whether two cells chose the same tokens, in every round. */
export const sameTokens = (a: AgainstCell, b: AgainstCell): boolean =>
  a.tokensSha256 === b.tokensSha256 && a.sameEachRound !== false && b.sameEachRound !== false;

/** Times of each in seconds and milliseconds, and how many times as long ours take, in 80 columns. */
export function ratios(cells: readonly AgainstCell[]): string {
  const ways = [...new Set(cells.filter(isOurs).map(({ by }) => by))];
  const sorted = cells.toSorted((a, b) => Number(b.useCache) - Number(a.useCache));
  const rows = sorted.map((cell) => {
    const same = cells.filter(({ useCache }) => useCache === cell.useCache);
    const mine = ways.map((way) => same.find(({ by }) => by === way));
    const times = mine.map((one) =>
      isOurs(cell) || !one ? "" : `${(one.seconds / cell.seconds).toFixed(2)} x`,
    );
    const start = [
      cell.useCache ? "with" : "without",
      cell.by.replace(OURS, "ours"),
      `${cell.samples.length}`,
      cell.seconds.toFixed(2),
      cell.firstTokenMs.toFixed(0),
      cell.stepMs.toFixed(1),
    ];
    const alike = mine.every((one) => !one || sameTokens(one, cell));
    return start.concat(times, cell.sameEachRound === false ? "VARY" : alike ? "same" : "OTHERS");
  });
  const head: Table["head"] = [
    ["KV", "cache"], ["", "by"], ["", "runs"], ["", "time s"], ["first", "ms"], ["step", "ms"],
    ...ways.map((way) => ["ours take:", way.replace(`${OURS}, `, "").replace(OURS, "eager")] as const),
    ["", "tokens"],
  ]; // prettier-ignore
  return alignedTable({ head, rows });
}
