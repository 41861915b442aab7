import { Component, createRef, type ComponentChildren, type VNode } from "preact";
import { BUGS } from "../bugs.js";
import type { App } from "./app.js";
import { CONTENT } from "./chapters.js";
import { CodePanel } from "./code-panel.js";
import { stepOf } from "./run.js";
import { TopBar } from "./top-bar.js";
import { KEYS, Transport } from "./transport.js";
import { CHAPTERS, navigate, viewToHash } from "./view.js";

/** The whole page. */
export function Page({ app, theme, onTheme }: { app: App; theme: string; onTheme: () => void }): VNode {
  const { view, run } = app;
  const chapter = CHAPTERS.findIndex(({ id }) => id === view.chapter);
  const { title } = CHAPTERS[chapter]!;
  const { lede, views } = CONTENT[view.chapter];
  const begun = run !== undefined || app.problem !== undefined; // until then the page is empty, so that nothing moves when the rest appears
  const bug = BUGS.find(({ id }) => id === view.bug);
  const link = (by: number): VNode | null => {
    const to = CHAPTERS[chapter + by];
    if (!to) return <span />;
    return (
      <a href={viewToHash(navigate(view, { chapter: to.id }))}>
        {by < 0 ? "← " : ""}
        {to.short}
        {by > 0 ? " →" : ""}
      </a>
    );
  };
  return (
    <div class={app.code.id ? "page with-code" : "page"}>
      <TopBar app={app} theme={theme} onTheme={onTheme} />
      <main>
        {app.problem && (
          <div class="problem" role="alert">
            {app.problem}{" "}
            <button type="button" class="plain" aria-label="Dismiss" onClick={() => app.report(undefined)}>
              ✕
            </button>
          </div>
        )}
        {bug && view.chapter !== "break" && (
          <p class="problem">
            Planted bug: {bug.title}.{" "}
            <button type="button" onClick={() => app.navigate({ bug: "" })}>
              Remove it
            </button>
          </p>
        )}
        <div class="lede">
          <Heading number={chapter + 1} title={title} />
          {begun && <div class="paragraphs">{lede(app)}</div>}
        </div>
        {begun ? (
          <>
            <div class="views" aria-busy={app.waiting && !app.problem}>
              <Still when={app.starting && run !== undefined}>{run && views(app)}</Still>
            </div>
            <nav class="around" aria-label="Next and previous chapter">
              {link(-1)}
              {link(1)}
            </nav>
            <KeyTable />
          </>
        ) : (
          <p class="loading">Starting the model…</p>
        )}
        <p class="sr" role="status">
          {!app.player.playing && app.pair && announcement(app)}
        </p>
      </main>
      <div class="bottom">
        {app.code.id && <CodePanel app={app} id={app.code.id} />}
        <Transport app={app} />
      </div>
    </div>
  );
}

function KeyTable(): VNode {
  return (
    <details class="keys">
      <summary>Keyboard</summary>
      <dl>
        {KEYS.map(([keys, action]) => (
          <div key={keys}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{action}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

/** The chapter's heading; a new chapter scrolls to the top and moves the keyboard focus to it. */
class Heading extends Component<{ number: number; title: string }> {
  private readonly element = createRef<HTMLHeadingElement>();

  override componentDidUpdate(before: { number: number }): void {
    if (before.number === this.props.number) return;
    if (document.activeElement?.closest(".around")) this.element.current?.focus();
    scrollTo(0, 0);
  }

  override render({ number, title }: { number: number; title: string }): VNode {
    return (
      <h1 ref={this.element} tabIndex={-1}>
        <span class="number">{number}</span> {title}
      </h1>
    );
  }
}

/** Does not render its children while a new run starts, so that nothing moves. */
class Still extends Component<{ when: boolean; children: ComponentChildren }> {
  override shouldComponentUpdate(next: { when: boolean }): boolean {
    return !next.when;
  }

  override render(): ComponentChildren {
    return this.props.children;
  }
}

/** Describes the step for screen readers. */
function announcement(app: App): string {
  const range = (cached: boolean): string => {
    const step = stepOf(app.pair, cached);
    return step ? `${step.prevPos} to ${step.curPos}` : "nothing";
  };
  return `Step ${app.view.step}: with the cache, input positions ${range(true)}; without it, ${range(false)}.`;
}
