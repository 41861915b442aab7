import { render, type VNode } from "preact";
import type { App } from "./app.js";
import { topicAt, TOPICS } from "./after/topics.js";
import { chapterOf, type ChapterId, CHAPTERS, nextOf } from "./chapters.js";
import type { View } from "./view.js";

/** Minutes of a chapter or topic, and notes for the lecturer. */
interface Note {
  readonly minutes: number;
  readonly text: readonly string[];
}

/**
 * Notes of each chapter for a lecture of 45 minutes; chapters without minutes are for questions. The chapter "After the
 * cache" is a second lecture, with notes for each topic.
 */
const NOTES: Readonly<Record<Exclude<ChapterId, "after">, Note>> = {
  start: {
    minutes: 2,
    text: [
      "Say nothing about transformers yet. Press PageDown and let both sides run to the end.",
      "Ask: what is the same on both sides, and what differs? The text is the same; the area is not.",
    ],
  },
  waste: {
    minutes: 4,
    text: [
      "Let them answer before you go on. Most say one; ask how they know.",
      "Point at a column: the key of one token, computed again in every row. The change is rounding, below a millionth.",
      "The area of a triangle: half the square of the length.",
    ],
  },
  why: {
    minutes: 8,
    text: [
      "A vote: does replacing the tenth word change the first? Then show it.",
      "An early word: everything after it changes. So a server can share what requests have in common at their beginning.",
      "Layer 0 changes only in the word’s own row: its keys depend on nothing but the token. Ask why.",
      "Queries and RoPE answer the two questions that always come.",
    ],
  },
  cache: {
    minutes: 8,
    text: [
      "One build for each operation: append, scores, softmax, sum.",
      "Change the head: some look at the previous token, others far back.",
      "Open the code (c): append is three lines.",
    ],
  },
  loop: {
    minutes: 6,
    text: [
      "Write 0:curPos and prevPos:curPos on the board before you show them.",
      "Step by hand with →; let them say both slices aloud before each step.",
    ],
  },
  cost: {
    minutes: 7,
    text: [
      "Prefill is to the right: the weights are read once for 256 tokens. Decode is to the left.",
      "A batch moves decode to the right. That is why servers batch.",
      "The time saved is less than the operations saved, and it grows with the batch.",
    ],
  },
  memory: {
    minutes: 5,
    text: [
      "Let them guess the number of requests. Then 131,072 positions: one request may be larger than the weights.",
      "DeepSeek V3 has 128 heads and a small cache: MLA.",
    ],
  },
  break: {
    minutes: 5,
    text: [
      "Vote for each bug: with, without, both. Head grouping breaks both in the same way: only a reference finds it.",
      "RoPE one too far: the tokens may stay equal while the logits differ.",
      "Homework: the exercises.",
    ],
  },
  batch: { minutes: 0, text: ["For the question: what if the prompts have different lengths?"] },
  tables: { minutes: 0, text: ["For the question: what did you measure, and on which machine?"] },
  traces: { minutes: 0, text: ["For the question: does it work for my text?"] },
};

/** Minutes until the end of a chapter. */
export const minutesUntil = (id: ChapterId): number =>
  CHAPTERS.slice(0, CHAPTERS.findIndex((one) => one.id === id) + 1).reduce(
    (total, { id: one }) => total + (one === "after" ? 0 : NOTES[one].minutes),
    0,
  );

/** Minutes until the end of a topic, into the second lecture. */
export function minutesUntilTopic(build: number): number {
  const all = Object.values(TOPICS);
  return all.slice(0, all.indexOf(topicAt(build)) + 1).reduce((total, { minutes }) => total + minutes, 0);
}

/** Minutes and notes, and the sentence about the plan. */
function noteOf({
  chapter,
  build,
}: Pick<View, "chapter" | "build">): readonly [plan: string, ...Note["text"]] {
  if (chapter === "after") {
    const { minutes, notes } = topicAt(build);
    const end = minutesUntilTopic(build);
    return [`${minutes} minutes; this topic ends ${end} minutes into the second lecture.`, ...notes];
  }
  const { minutes, text } = NOTES[chapter];
  const end = minutesUntil(chapter);
  return [
    minutes > 0
      ? `${minutes} minutes; this chapter ends ${end} minutes into the lecture.`
      : "No time planned.",
    ...text,
  ];
}

/** The notes of a chapter or topic. */
export function Notes({ view }: { view: Pick<View, "chapter" | "build"> }): VNode {
  const [plan, ...text] = noteOf(view);
  return (
    <>
      <p>{plan}</p>
      <ul>
        {text.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </>
  );
}

/** The lecturer's second window: notes, the next build, and the time since it was opened. */
export class NotesWindow {
  private window: Window | null = null;
  private opened = 0;
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly app: () => App,
    private readonly onKey: (event: KeyboardEvent) => void,
  ) {}

  /** Opens the window, or reports that the browser does not allow it. */
  open(): void {
    const app = this.app();
    this.window = window.open("", "notes", "width=760,height=600");
    if (!this.window) return app.report("The browser must allow this page to open a window for the notes.");
    this.opened ||= Date.now();
    this.window.document.title = "Notes";
    this.window.document.documentElement.style.cssText =
      "font: 1.4rem/1.45 system-ui; margin: 1rem; color-scheme: light dark";
    this.window.addEventListener("keydown", this.onKey);
    clearInterval(this.timer);
    this.timer = setInterval(() => this.draw(), 1000);
    this.draw();
  }

  /** Shows the current chapter's notes, if the window is open. */
  draw(): void {
    if (!this.window || this.window.closed) return clearInterval(this.timer);
    const { view } = this.app();
    const { mark, title, builds } = chapterOf(view.chapter);
    const seconds = Math.round((Date.now() - this.opened) / 1000);
    render(
      <main>
        <p>
          {Math.floor(seconds / 60)}:{String(seconds % 60).padStart(2, "0")} of 45:00
        </p>
        <h1>
          {mark} {view.chapter === "after" ? topicAt(view.build).name : title}: {builds[view.build]!.label}
        </h1>
        <Notes view={view} />
        <p>
          Next: <b>{nextOf(view.chapter, view.build) ?? "the end"}</b>
        </p>
      </main>,
      this.window.document.body,
    );
  }
}
