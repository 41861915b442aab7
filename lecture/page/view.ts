import { LECTURE_PROMPTS } from "../../scripts/lecture-prompts.js";
import { BUGS } from "../bugs.js";
import { chapterOf, type ChapterId, CHAPTERS, stepOfBuild, topicOf } from "./chapters.js";
import { type CodeId, isCodeId } from "./code-links.js";
import { DEFAULT_MEMORY, type MemoryOf, memoryToText, parseMemory } from "./memory-of.js";
import type { RunOptions } from "./protocol.js";

/** The page's visible state. All of it is in the URL, so that slides can link to it. */
export interface View extends RunOptions {
  readonly chapter: ChapterId;
  /** Index of the chapter's build. */
  readonly build: number;
  /** Presenter mode: figures fill the screen, and there is no prose. */
  readonly present: boolean;
  /** Step number, from 1. */
  readonly step: number;
  readonly layer: number;
  /** Query head. */
  readonly head: number;
  /** Index of the sequence in the batch. */
  readonly sequence: number;
  /** Index of the changed word in the chapter on causal attention; -1 for that of the build. */
  readonly word: number;
  /** Index of the chosen setting of a topic after the cache. */
  readonly choice: number;
  /**
   * The reader's prediction of a planted bug, a letter for each mode, the cached one first: "w" goes wrong, "r" stays
   * right, "-" for none.
   */
  readonly vote: string;
  /** The open code; "" if none is. */
  readonly code: CodeId | "";
  /** Sizes of the cache in the chapter on memory. */
  readonly memory: MemoryOf;
}

/** The one prompt that the page starts with. */
const ONE_PROMPT: readonly string[] = ["Once upon a time"];

/** Values of everything that a link does not set. */
export const DEFAULT_VIEW: View = {
  chapter: "start",
  build: 0,
  present: false,
  step: 1,
  layer: 0,
  head: 0,
  sequence: 0,
  word: -1,
  choice: 0,
  vote: "--",
  code: "",
  memory: DEFAULT_MEMORY,
  prompts: ONE_PROMPT,
  maxGenLen: 32,
  temperature: 0,
  topP: 0.9,
  seed: 0,
  bug: "",
};

/** Prompts that a chapter shows if the reader has not chosen others. */
const promptsOf = (chapter: ChapterId): readonly string[] =>
  chapter === "batch" ? LECTURE_PROMPTS : ONE_PROMPT;

/** Bug that the chapter on planted bugs starts with. */
const FIRST_BUG = BUGS[0]!.id;

/** Parses a URL fragment; missing and invalid values are those of `DEFAULT_VIEW`, or of the chapter. */
export function parseView(hash: string): View {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const number = (name: keyof View, min: number, whole = true): number => {
    const text = given.get(name);
    const value = Number(text);
    const good = text !== null && text !== "" && value >= min && (!whole || Number.isSafeInteger(value));
    return good && Number.isFinite(value) ? value : (DEFAULT_VIEW[name] as number);
  };
  const oneOf = <T extends string>(name: keyof View, names: readonly T[], otherwise: T): T =>
    names.find((one) => one === given.get(name)) ?? otherwise;
  const chapter = oneOf(
    "chapter",
    CHAPTERS.map(({ id }) => id),
    DEFAULT_VIEW.chapter,
  );
  const { builds } = chapterOf(chapter);
  const build = Math.min(number("build", 0), builds.length - 1);
  const prompts = given.getAll("prompt");
  const code = given.get("code") ?? "";
  const bugs = BUGS.map(({ id }) => id);
  return {
    chapter,
    build,
    present: given.get("present") === "1",
    step: given.has("step") ? number("step", 1) : (stepOfBuild(chapter, build) ?? DEFAULT_VIEW.step),
    layer: number("layer", 0),
    head: number("head", 0),
    sequence: number("sequence", 0),
    word: number("word", 0),
    choice: number("choice", 0),
    vote: /^[wr-]{2}$/.test(given.get("vote") ?? "") ? given.get("vote")! : DEFAULT_VIEW.vote,
    code: isCodeId(code) ? code : "",
    memory: parseMemory(given.get("memory")),
    prompts: prompts.length > 0 ? prompts : promptsOf(chapter),
    maxGenLen: number("maxGenLen", 1),
    temperature: number("temperature", 0, false),
    topP: number("topP", 0.01, false),
    seed: number("seed", 0),
    bug: chapter === "break" ? oneOf("bug", ["", ...bugs], FIRST_BUG) : "",
  };
}

/** URL fragment of a view: chapter, step, and the values that `parseView` would not supply. */
export function viewToHash(view: View): string {
  const out = new URLSearchParams({ chapter: view.chapter, step: String(view.step) });
  const names = ["build", "layer", "head", "sequence", "word", "choice", "vote", "code"] as const;
  for (const name of [...names, "maxGenLen", "temperature", "topP", "seed"] as const) {
    if (view[name] !== DEFAULT_VIEW[name]) out.set(name, String(view[name]));
  }
  if (view.present) out.set("present", "1");
  if (view.chapter === "break" && view.bug !== FIRST_BUG) out.set("bug", view.bug);
  const memory = memoryToText(view.memory);
  if (memory !== memoryToText(DEFAULT_MEMORY)) out.set("memory", memory);
  if (!same(view.prompts, promptsOf(view.chapter))) {
    for (const prompt of view.prompts) out.append("prompt", prompt);
  }
  return `#${out}`;
}

/** The view at the beginning of another chapter, or at one of its builds. Prompts that the reader chose are kept. */
export function navigate(view: View, chapter: ChapterId, build = 0): View {
  const moved = chapter !== view.chapter;
  const sameTopic = !moved && topicOf(chapter, build).name === topicOf(chapter, view.build).name;
  const theirs = !same(view.prompts, promptsOf(view.chapter));
  return {
    ...view,
    chapter,
    build,
    step: (moved ? stepOfBuild(chapter, build) : chapterOf(chapter).builds[build]?.step) ?? view.step,
    prompts: theirs ? view.prompts : promptsOf(chapter),
    sequence: moved ? 0 : view.sequence,
    word: -1,
    choice: sameTopic ? view.choice : 0,
    vote: moved ? DEFAULT_VIEW.vote : view.vote,
    code: "",
    bug: chapter !== "break" ? "" : moved ? FIRST_BUG : view.bug,
  };
}

const same = (a: readonly string[], b: readonly string[]): boolean => a.join("\0") === b.join("\0");
