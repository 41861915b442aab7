import type { App } from "./app.js";
import { CHAPTERS } from "./view.js";

/** Handles a key; `KEYS` lists them for the reader. Fields, buttons and sliders keep the keys that they use. */
export function onKey(app: App, event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target as HTMLElement;
  if (at.matches("input:not([type=radio]), textarea, select")) return;
  if (event.key === " " && at.matches("button, summary, a, input")) return;
  if (at.matches("input[type=radio]") && event.key.startsWith("Arrow")) return;
  const act = actionOf(app, event);
  if (!act) return;
  event.preventDefault();
  act();
}

function actionOf(app: App, { key, shiftKey }: KeyboardEvent): (() => void) | undefined {
  const { view, run } = app;
  const by = shiftKey ? -1 : 1;
  const cycle = (value: number, all: readonly number[]): number =>
    all[(all.indexOf(value) + by + all.length) % all.length] ?? value;
  const upTo = (n = 1): number[] => Array.from({ length: n }, (_, i) => i);
  const chapter = CHAPTERS[Number(key) - 1];
  if (chapter) return () => app.navigate({ chapter: chapter.id });
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
      return () => app.go(Math.max(1, run?.steps.length ?? 1));
    case "s":
      return () => app.show({ sequence: cycle(view.sequence, upTo(run?.header.prompts.length)) });
    case "h":
      return () => app.show({ head: cycle(view.head, upTo(run?.header.config.nHeads)) });
    case "l":
      return () => app.show({ layer: cycle(view.layer, run?.header.layers ?? [0]) });
    case "m":
      return () =>
        app.show({ mode: view.mode === "both" ? "cached" : view.mode === "cached" ? "uncached" : "both" });
    case "c":
      return () => app.code.toggle(undefined, true);
    case "escape":
      return app.code.id ? () => app.code.close() : undefined;
    default:
      return undefined;
  }
}
