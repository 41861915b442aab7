import { render, type VNode } from "preact";
import type { App } from "./app.js";
import { topicAt, TOPICS } from "./after/topics.js";
import { chapterOf, type ChapterId, CHAPTERS, nextOf } from "./chapters.js";
import { NOTES } from "./chapter-notes.js";
import type { View } from "./view.js";

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

/** The sentence about the plan, the notes of the build, and the others. */
function noteOf({ chapter, build }: Pick<View, "chapter" | "build">): {
  readonly plan: string;
  readonly now: string | undefined;
  readonly text: readonly string[];
} {
  if (chapter === "after") {
    const { minutes, notes } = topicAt(build);
    const end = minutesUntilTopic(build);
    const plan = `${minutes} minutes; this topic ends ${end} minutes into the second lecture.`;
    return { plan, now: undefined, text: notes };
  }
  const { minutes, builds, text } = NOTES[chapter];
  const end = minutesUntil(chapter);
  const plan =
    minutes > 0
      ? `${minutes} minutes; this chapter ends ${end} minutes into the lecture.`
      : "No time planned.";
  return { plan, now: builds[build], text };
}

/** The notes of a chapter or topic. */
export function Notes({ view }: { view: Pick<View, "chapter" | "build"> }): VNode {
  const { plan, now, text } = noteOf(view);
  return (
    <>
      <p>{plan}</p>
      {now && (
        <p>
          <b>{now}</b>
        </p>
      )}
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
    const { mark, menu, builds } = chapterOf(view.chapter);
    const seconds = Math.round((Date.now() - this.opened) / 1000);
    render(
      <main>
        <p>
          {Math.floor(seconds / 60)}:{String(seconds % 60).padStart(2, "0")} of 45:00
        </p>
        <h1>
          {mark} {view.chapter === "after" ? topicAt(view.build).name : menu}: {builds[view.build]!.label}
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
