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
  /** Number or letter in the menu. */
  readonly mark: string;
  readonly title: string;
  /** Name in the menu. */
  readonly menu: string;
  /** The most relevant code. */
  readonly code: CodeId;
  readonly builds: readonly Build[];
}

/** The chapters in order. */
export const CHAPTERS = [
  {
    id: "start",
    mark: "0",
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
    mark: "1",
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
    mark: "2",
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
    mark: "3",
    title: "The cache",
    menu: "The cache",
    code: "append",
    builds: [
      { label: "question", step: 9 },
      { label: "append" },
      { label: "query · keys" },
      { label: "softmax" },
      { label: "sum of values" },
    ],
  },
  {
    id: "loop",
    mark: "4",
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
    mark: "5",
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
    mark: "6",
    title: "The memory",
    menu: "The memory",
    code: "cacheBytes",
    builds: [{ label: "question", step: LAST }, { label: "answer" }, { label: "heads" }],
  },
  {
    id: "break",
    mark: "7",
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
    mark: "A",
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
    mark: "B",
    title: "Measured",
    menu: "Tables",
    code: "stepCost",
    builds: [{ label: "all", step: LAST }],
  },
  {
    id: "traces",
    mark: "C",
    title: "Your own run",
    menu: "Your run",
    code: "bos",
    builds: [{ label: "all" }],
  },
] as const satisfies readonly ChapterInfo[];

/** Id of a chapter in links. */
export type ChapterId = (typeof CHAPTERS)[number]["id"];

/** A chapter by its id. */
export const chapterOf = (id: ChapterId): ChapterInfo & { readonly id: ChapterId } =>
  CHAPTERS.find((one) => one.id === id)!;

/** The step of a build: its own, or that of the builds before it; undefined if none of them has one. */
export const stepOfBuild = (id: ChapterId, build: number): number | undefined =>
  chapterOf(id).builds.findLast(({ step }, i) => i <= build && step !== undefined)?.step;

/** The chapter after or before another one; undefined at either end. */
export const neighbour = (id: ChapterId, by: number): ChapterId | undefined =>
  CHAPTERS[CHAPTERS.findIndex((one) => one.id === id) + by]?.id;
