import type { VNode } from "preact";
import type { App } from "./app.js";
import { CHAPTERS } from "./chapters.js";
import type { Commands } from "./keys.js";
import { navigate, viewToHash } from "./view.js";

/** Links to the chapters, and buttons for presenter mode, keys and colours. */
export function TopBar({ app, commands, theme }: { app: App; commands: Commands; theme: string }): VNode {
  const { view } = app;
  return (
    <header class="top">
      <a class="name" href={viewToHash(navigate(view, "start"))}>
        The KV cache
      </a>
      <nav aria-label="Chapters">
        <ol>
          {CHAPTERS.map(({ id, mark, menu }) => (
            <li key={id}>
              <a
                ref={id === view.chapter ? reveal : null}
                href={viewToHash(navigate(view, id))}
                aria-current={id === view.chapter ? "page" : undefined}
              >
                <span class="mark">{mark}</span> {menu}
              </a>
            </li>
          ))}
        </ol>
      </nav>
      <div class="tools">
        <button type="button" title="Presenter mode (p)" onClick={() => app.show({ present: true })}>
          Present
        </button>
        <button type="button" aria-label="Keys" title="Keys (?)" onClick={commands.help}>
          ?
        </button>
        <button
          type="button"
          onClick={commands.theme}
          aria-label={`Colours: ${theme}`}
          title={`Colours: ${theme} (t)`}
        >
          <span aria-hidden="true">{theme === "dark" ? "☾" : theme === "light" ? "☀" : "◐"}</span>
        </button>
      </div>
    </header>
  );
}

/** Scrolls the list of chapters, or of builds, to the current one on narrow screens; the page itself is not scrolled. */
export function reveal(name: HTMLElement | null): void {
  const list = name?.closest<HTMLElement>("ol, .builds");
  if (name && list)
    list.scrollLeft = name.offsetLeft - list.offsetLeft - (list.clientWidth - name.offsetWidth) / 2;
}
