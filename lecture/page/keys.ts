import type { App } from "./app.js";
import { chapterOf, CHAPTERS } from "./chapters.js";

/** Keyboard shortcuts, active everywhere but in text fields. */
export const KEYS: readonly [keys: string, action: string][] = [
  ["→ ←", "next step, previous step"],
  ["space", "play or pause"],
  ["Home End", "first step, last step"],
  ["0 … 8", "chapter"],
  ["p", "presenter mode"],
  ["PageDown PageUp", "presenter mode: next or previous build, then chapter (a clicker’s keys)"],
  ["b .", "presenter mode: black screen, until the next key"],
  ["f", "full screen; in presenter mode F5 too (a clicker’s start)"],
  ["n", "notes for the lecturer, in a window"],
  ["c", "show or hide the chapter’s code"],
  ["s h l", "next sequence, head, layer (with shift: previous)"],
  ["t", "light, dark or the system’s colours"],
  ["?", "these keys"],
];

/** The actions that are not changes of the view. */
export interface Commands {
  fullscreen(): void;
  notes(): void;
  theme(): void;
  help(): void;
  black(): void;
}

/**
 * Handles a key; `KEYS` lists them for the reader. Fields, buttons and sliders keep the keys that they use, but for a
 * clicker's in presenter mode.
 */
export function onKey(app: App, commands: Commands, event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target as HTMLElement;
  if (at.closest("dialog")) return;
  if (document.documentElement.classList.contains("black")) {
    event.preventDefault();
    return commands.black(); // any key brings the screen back
  }
  const clicker = app.view.present && /^(?:Page(?:Up|Down)|F5)$/.test(event.key); // works wherever the mouse clicked before
  if (!clicker && at.matches("input:not([type=radio]), textarea, select")) return;
  if (event.key === " " && at.matches("button, summary, a, input")) return;
  if (at.matches("input[type=radio]") && event.key.startsWith("Arrow")) return;
  const act = actionOf(app, commands, event);
  if (!act) return;
  event.preventDefault();
  act();
}

function actionOf(app: App, commands: Commands, { key, shiftKey }: KeyboardEvent): (() => void) | undefined {
  const { view, run } = app;
  const by = shiftKey ? -1 : 1;
  const cycle = (value: number, all: readonly number[]): number =>
    all[(all.indexOf(value) + by + all.length) % all.length] ?? value;
  const upTo = (n = 1): number[] => Array.from({ length: n }, (_, i) => i);
  const chapter = CHAPTERS.find(({ mark }) => mark === key && /\d/.test(mark));
  if (chapter) return () => app.open(chapter.id);
  if (view.present) {
    if (key === "PageDown") return () => app.advance(1);
    if (key === "PageUp") return () => app.advance(-1);
    if (key === "b" || key === ".") return () => commands.black();
    if (key === "F5") return () => commands.fullscreen();
  }
  switch (key.toLowerCase()) {
    case "arrowright":
      return () => app.go(view.step + 1);
    case "arrowleft":
      return () => app.go(view.step - 1);
    case " ":
      return () => app.player.play();
    case "home":
      return () => app.go(1);
    case "end":
      return () => app.go(app.length);
    case "p":
      return () => app.show({ present: !view.present });
    case "f":
      return () => commands.fullscreen();
    case "n":
      return () => commands.notes();
    case "t":
      return () => commands.theme();
    case "?":
      return () => commands.help();
    case "s":
      return () => app.show({ sequence: cycle(view.sequence, upTo(run?.header.prompts.length)) });
    case "h":
      return () => app.show({ head: cycle(view.head, upTo(run?.header.config.nHeads)) });
    case "l":
      return () => app.show({ layer: cycle(view.layer, run?.header.layers ?? [0]) });
    case "c":
      return () => app.show({ code: view.code ? "" : chapterOf(view.chapter).code });
    case "escape":
      return view.code ? () => app.show({ code: "" }) : undefined;
    default:
      return undefined;
  }
}
