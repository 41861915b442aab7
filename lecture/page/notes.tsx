import { render, type VNode } from "preact";
import type { App } from "./app.js";
import { chapterOf, type ChapterId, CHAPTERS, neighbour } from "./chapters.js";

/** Minutes and notes of each chapter for a lecture of 45 minutes; chapters without minutes are for questions. */
const NOTES: Readonly<Record<ChapterId, { readonly minutes: number; readonly text: readonly string[] }>> = {
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
  after: { minutes: 0, text: ["One topic well rather than all of them."] },
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
    (total, one) => total + NOTES[one.id].minutes,
    0,
  );

/** A chapter's notes. */
export function Notes({ id }: { id: ChapterId }): VNode {
  const { minutes, text } = NOTES[id];
  return (
    <>
      <p>
        {minutes > 0
          ? `${minutes} minutes; this chapter ends ${minutesUntil(id)} minutes into the lecture.`
          : "No time planned."}
      </p>
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
    const to = neighbour(view.chapter, 1);
    const next = builds[view.build + 1]?.label ?? (to && chapterOf(to).title);
    const seconds = Math.round((Date.now() - this.opened) / 1000);
    render(
      <main>
        <p>
          {Math.floor(seconds / 60)}:{String(seconds % 60).padStart(2, "0")} of 45:00
        </p>
        <h1>
          {mark} {title}: {builds[view.build]!.label}
        </h1>
        <Notes id={view.chapter} />
        <p>
          Next: <b>{next ?? "the end"}</b>
        </p>
      </main>,
      this.window.document.body,
    );
  }
}
