import type { CodeId } from "./code-links.js";

/** A state of a chapter's figure that a lecturer shows with one click. The first one of a chapter asks its question. */
export interface Build {
  /** Caption of its button. */
  readonly label: string;
  /** The step that it shows; the current one by default. */
  readonly step?: number;
  /** Plays from that step on. */
  readonly play?: boolean;
}

/** Stands for the last step of a run, whose number is not known before it ends. */
export const LAST = 9999;

interface ChapterInfo {
  /** Id in links. */
  readonly id: string;
  /** Letter of an appendix; chapters are numbered in their order. */
  readonly letter?: string;
  /** False while the chapter has no content: it is not in the menu, and there are no links to it. */
  readonly listed?: boolean;
  readonly title: string;
  /** Name in the menu. */
  readonly menu: string;
  /** The most relevant code. */
  readonly code: CodeId;
  readonly builds: readonly Build[];
}

const ALL = [
  {
    id: "start",
    title: "Same tokens. Same logits. Less work.",
    menu: "Ten seconds",
    code: "switch",
    builds: [
      { label: "start", step: 1 },
      { label: "play", step: 1, play: true },
      { label: "end", step: LAST },
    ],
  },
  {
    id: "waste",
    title: "The waste",
    menu: "The waste",
    code: "loop",
    builds: [
      { label: "question", step: 12 },
      { label: "answer", step: 12 },
      { label: "all steps", step: LAST },
    ],
  },
  {
    id: "why",
    title: "Why keys and values can be kept",
    menu: "Why exact",
    code: "mask",
    builds: [
      { label: "question", step: LAST },
      { label: "a late word" },
      { label: "an early word" },
      { label: "queries" },
      { label: "RoPE" },
    ],
  },
  {
    id: "cache",
    title: "The cache",
    menu: "The cache",
    code: "append",
    builds: [
      { label: "question", step: 7 },
      { label: "append" },
      { label: "query · keys" },
      { label: "softmax" },
      { label: "sum of values" },
    ],
  },
  {
    id: "loop",
    title: "The loop",
    menu: "The loop",
    code: "loop",
    builds: [
      { label: "question", step: 1 },
      { label: "step 2", step: 2 },
      { label: "step 3", step: 3 },
      { label: "the end", step: LAST },
    ],
  },
  {
    id: "cost",
    title: "Prefill and decode",
    menu: "Prefill and decode",
    code: "stepCost",
    builds: [
      { label: "question", step: LAST },
      { label: "prefill" },
      { label: "decode" },
      { label: "batches" },
      { label: "in seconds" },
    ],
  },
  {
    id: "memory",
    title: "The memory",
    menu: "The memory",
    code: "cacheBytes",
    builds: [{ label: "question", step: LAST }, { label: "answer" }, { label: "heads" }],
  },
  {
    id: "after",
    listed: false,
    title: "After the cache",
    menu: "After the cache",
    code: "append",
    builds: [{ label: "question", step: LAST }],
  },
  {
    id: "break",
    title: "Break it",
    menu: "Break it",
    code: "bugs",
    builds: [
      { label: "predict", step: 1 },
      { label: "watch", step: 8 },
    ],
  },
  {
    id: "batch",
    letter: "A",
    title: "Ragged batches",
    menu: "Batches",
    code: "ragged",
    builds: [
      { label: "question", step: 1 },
      { label: "step 5", step: 5 },
      { label: "step 20", step: 20 },
    ],
  },
  {
    id: "tables",
    letter: "B",
    title: "Measured",
    menu: "Tables",
    code: "stepCost",
    builds: [{ label: "all", step: LAST }],
  },
  {
    id: "traces",
    letter: "C",
    title: "Your own run",
    menu: "Your run",
    code: "bos",
    builds: [{ label: "all" }],
  },
] as const satisfies readonly ChapterInfo[];

/** Id of a chapter in links. */
export type ChapterId = (typeof ALL)[number]["id"];

/** A chapter, with its number or letter in the menu. */
interface Chapter extends ChapterInfo {
  readonly id: ChapterId;
  readonly mark: string;
}

/** The chapters of the menu in order. */
export const CHAPTERS: readonly Chapter[] = ALL.filter((one: ChapterInfo) => one.listed !== false).map(
  (one: ChapterInfo & { readonly id: ChapterId }, i) => Object.assign({ mark: one.letter ?? String(i) }, one),
);

/** A chapter of the menu by its id. */
export const chapterOf = (id: ChapterId): Chapter => CHAPTERS.find((one) => one.id === id)!;

/** The step of a build: its own, or that of the builds before it; undefined if none of them has one. */
export const stepOfBuild = (id: ChapterId, build: number): number | undefined =>
  chapterOf(id).builds.findLast(({ step }, i) => i <= build && step !== undefined)?.step;

/** The chapter after or before another one; undefined at either end. */
export const neighbour = (id: ChapterId, by: number): ChapterId | undefined =>
  CHAPTERS[CHAPTERS.findIndex((one) => one.id === id) + by]?.id;
