import type { CodeId } from "./code-links.js";

/** A state of a chapter's figure that a lecturer shows with one click. The first one of a chapter asks its question. */
export interface Build {
  /** Caption of its button. */
  readonly label: string;
  /** Name of the topic that it belongs to, in a chapter of several; the first build of each asks a question. */
  readonly topic?: string;
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
  readonly title: string;
  /** Name in the menu. */
  readonly menu: string;
  /** The most relevant code. */
  readonly code: CodeId;
  readonly builds: readonly Build[];
}

/** The last step in which the window of the chapter "After the cache" has all positions. */
const RING_FULL = 7;

/** The builds of a topic. */
const topic = (name: string, ...builds: readonly Build[]): Build[] =>
  builds.map((build) => Object.assign({ topic: name }, build));

/** The first build of a topic. */
const QUESTION: Build = { label: "question", step: LAST };

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
    id: "after",
    title: "After the cache",
    menu: "After",
    code: "append",
    builds: [
      ...topic("chunks", QUESTION, { label: "at once" }, { label: "in chunks" }),
      ...topic("blocks", QUESTION, { label: "one prefix" }, { label: "copy on write" }, { label: "the end" }),
      ...topic(
        "window",
        { label: "question", step: RING_FULL },
        { label: "the ring", step: RING_FULL, play: true },
        { label: "what is lost", step: LAST },
      ),
      ...topic("bits", QUESTION, { label: "one number" }, { label: "all keys" }, { label: "what is lost" }),
      ...topic("batching", QUESTION, { label: "fixed batches" }, { label: "continuous" }),
      ...topic("guesses", QUESTION, { label: "one round" }, { label: "all rounds" }),
      ...topic("kinds", QUESTION, { label: "answer" }),
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
export const CHAPTERS: readonly Chapter[] = ALL.map((one: ChapterInfo & { readonly id: ChapterId }, i) =>
  Object.assign({ mark: one.letter ?? String(i) }, one),
);

/** A chapter of the menu by its id. */
export const chapterOf = (id: ChapterId): Chapter => CHAPTERS.find((one) => one.id === id)!;

/** The topic of a build: its name, its first build, and the build's number in it; a chapter without topics is one. */
export function topicOf(id: ChapterId, build: number): { name: string; first: number; part: number } {
  const { builds } = chapterOf(id);
  const name = builds[build]?.topic ?? "";
  const first = builds.findIndex((one) => (one.topic ?? "") === name);
  return { name, first, part: build - first };
}

/** True if a build asks a question that later ones answer. */
export const isQuestion = (id: ChapterId, build: number): boolean =>
  chapterOf(id).builds.length > 1 && topicOf(id, build).part === 0;

/** The step of a build: its own, or that of the builds before it; undefined if none of them has one. */
export const stepOfBuild = (id: ChapterId, build: number): number | undefined =>
  chapterOf(id).builds.findLast(({ step }, i) => i <= build && step !== undefined)?.step;

/** True if a build's figure changes with the step. */
export const hasSteps = (id: ChapterId, build: number): boolean =>
  id === "after" ? topicOf(id, build).name === "window" : !["why", "cost", "memory"].includes(id);

/** Name of the build that follows another one, or of the next chapter; undefined at the end. */
export function nextOf(id: ChapterId, build: number): string | undefined {
  const { builds } = chapterOf(id);
  const [now, next] = [builds[build]!, builds[build + 1]];
  if (next) return next.topic === now.topic ? next.label : `${next.topic}: ${next.label}`;
  const to = neighbour(id, 1);
  return to && chapterOf(to).title;
}

/** The chapter after or before another one; undefined at either end. */
export const neighbour = (id: ChapterId, by: number): ChapterId | undefined =>
  CHAPTERS[CHAPTERS.findIndex((one) => one.id === id) + by]?.id;
