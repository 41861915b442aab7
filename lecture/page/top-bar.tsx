import type { VNode } from "preact";
import type { App } from "./app.js";
import { CHAPTERS, navigate, viewToHash } from "./view.js";

/** Links to the chapters, and buttons for code and colours. */
export function TopBar({ app, theme, onTheme }: { app: App; theme: string; onTheme: () => void }): VNode {
  const { view } = app;
  return (
    <header class="top">
      <a class="name" href={viewToHash(navigate(view, { chapter: "tokens" }))}>
        The KV cache, step by step
      </a>
      <nav aria-label="Chapters">
        <ol>
          {CHAPTERS.map(({ id, short }, i) => (
            <li key={id}>
              <a
                ref={id === view.chapter ? reveal : null}
                href={viewToHash(navigate(view, { chapter: id }))}
                aria-current={id === view.chapter ? "page" : undefined}
              >
                <span class="number">{i + 1}</span> {short}
              </a>
            </li>
          ))}
        </ol>
      </nav>
      <div class="tools">
        <button
          type="button"
          aria-pressed={app.code.id !== undefined}
          onClick={({ detail }) => app.code.toggle(undefined, detail === 0)}
        >
          Code
        </button>
        <button type="button" onClick={onTheme} aria-label={`Colours: ${theme}`}>
          <span aria-hidden="true">{theme === "dark" ? "☾" : theme === "light" ? "☀" : "◐"}</span>{" "}
          <span class="theme">{theme}</span>
        </button>
      </div>
    </header>
  );
}

/** Scrolls the list to the current chapter on narrow screens; the page itself is not scrolled. */
function reveal(name: HTMLElement | null): void {
  const list = name?.closest("ol");
  if (name && list)
    list.scrollLeft = name.offsetLeft - list.offsetLeft - (list.clientWidth - name.offsetWidth) / 2;
}
