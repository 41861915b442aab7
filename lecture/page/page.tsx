import { Component, createRef, type ComponentChildren, type VNode } from "preact";
import type { App } from "./app.js";
import { chapterOf, neighbour, topicOf } from "./chapters.js";
import { TOPICS } from "./after/topics.js";
import { CodeButton, CodePanel } from "./code-panel.js";
import { CONTENT } from "./content.js";
import { type Commands, KEYS } from "./keys.js";
import { Notes } from "./notes.js";
import { stepOf } from "./run.js";
import { reveal, TopBar } from "./top-bar.js";
import { Transport } from "./transport.js";
import { navigate, viewToHash } from "./view.js";

interface Props {
  readonly app: App;
  readonly commands: Commands;
  readonly theme: string;
}

/** The whole page: the chapter's screen between the menu and the transport, and the rest below the fold. */
export function Page({ app, commands, theme }: Props): VNode {
  const { view, run } = app;
  const { present, chapter } = view;
  const busy = app.starting && run !== undefined;
  return (
    <div class={present ? "page present" : "page"} data-chapter={chapter}>
      {!present && <TopBar app={app} commands={commands} theme={theme} />}
      <main>
        <div class="screen">
          <Head app={app} />
          <Builds app={app} />
          <div class={busy ? "views busy" : "views"} aria-busy={app.waiting && !app.problem}>
            {app.problem ? (
              <div class="problem" role="alert">
                {app.problem}{" "}
                <button
                  type="button"
                  class="plain"
                  aria-label="Dismiss"
                  onClick={() => app.report(undefined)}
                >
                  ✕
                </button>
              </div>
            ) : null}
            <Still when={busy}>{(run || !app.problem) && CONTENT[chapter].figure(app)}</Still>
            {busy && <p class="computing">Computing…</p>}
          </div>
          {view.code && <CodePanel app={app} id={view.code} />}
          {!present && chapter !== "start" && <Text app={app} />}
        </div>
        {!present && <Below app={app} />}
        <p class="sr" role="status">
          {!app.player.playing && app.pair && announcement(app)}
        </p>
      </main>
      <Transport app={app} />
    </div>
  );
}

/** Title, question or answer, and the chapter's number. */
function Head({ app }: { app: App }): VNode {
  const { chapter, build } = app.view;
  const { mark, title } = chapterOf(chapter);
  const { heading, question, answer, number } = CONTENT[chapter];
  const shown = app.answered && app.run ? number?.(app) : undefined;
  const line = app.answered ? answer?.(app) : question?.(app);
  return (
    <header class="head">
      <Heading chapter={chapter}>
        {heading ? (
          heading(app)
        ) : (
          <>
            <span class="mark">{mark}</span> {title}
          </>
        )}
      </Heading>
      {(question || answer) && (
        <p class={app.answered ? "line answer" : "line question"} key={build}>
          {app.run || !app.answered ? line : "…"}
          {!app.answered && chapter !== "start" && (
            <button type="button" class="primary show" onClick={() => app.build(build + 1)}>
              Show
            </button>
          )}
        </p>
      )}
      {chapter === "start" && !app.view.present && (
        <button type="button" class="primary begin" disabled={!app.run} onClick={() => app.build(1)}>
          {app.view.step >= app.length && app.run ? "Again" : "Start"}
        </button>
      )}
      {number && (
        <p class="number">
          <b data-test="number">{shown?.value ?? "?"}</b> <span>{shown?.caption ?? " "}</span>
        </p>
      )}
    </header>
  );
}

/** Buttons for the chapter's builds. */
function Builds({ app }: { app: App }): VNode | null {
  const { chapter, build, present } = app.view;
  const { builds } = chapterOf(chapter);
  if (builds.length === 1 || present || chapter === "start") return null;
  const { name, first } = topicOf(chapter, build);
  const ofTopic = builds.filter(({ topic = "" }) => topic === name);
  return (
    <div class="builds">
      {name && <TopicButtons app={app} />}
      <div role="group" aria-label="What the figure shows">
        {ofTopic.map(({ label }, i) => (
          <button
            key={label}
            ref={first + i === build ? reveal : null}
            type="button"
            aria-pressed={first + i === build}
            onClick={() => app.build(first + i)}
          >
            {label}
          </button>
        ))}
      </div>
    </div>
  );
}

/** Buttons for the topics of a chapter; each shows its question. */
function TopicButtons({ app }: { app: App }): VNode {
  const { chapter, build } = app.view;
  const shown = topicOf(chapter, build).name;
  return (
    <div class="topics" role="group" aria-label="Topics">
      {chapterOf(chapter).builds.map(({ topic = "" }, i) =>
        topicOf(chapter, i).part === 0 ? (
          <button key={topic} type="button" aria-pressed={topic === shown} onClick={() => app.build(i)}>
            {TOPICS[topic]?.menu}
          </button>
        ) : null,
      )}
    </div>
  );
}

/** The chapter's text, its code, and the figure's controls. */
function Text({ app }: { app: App }): VNode {
  const { prose, code, controls } = CONTENT[app.view.chapter];
  return (
    <div class="text">
      <div class="prose">{prose(app)}</div>
      {controls?.(app)}
      <p class="links">
        {(typeof code === "function" ? code(app) : code).map((id) => (
          <CodeButton key={id} app={app} id={id} />
        ))}
      </p>
    </div>
  );
}

/** Notes for the lecturer, keys, and links to the chapters around. */
function Below({ app }: { app: App }): VNode {
  const { view } = app;
  const link = (by: number): VNode => {
    const to = neighbour(view.chapter, by);
    if (!to) return <span />;
    return (
      <a href={viewToHash(navigate(view, to))}>
        {by < 0 ? "← " : ""}
        {chapterOf(to).menu}
        {by > 0 ? " →" : ""}
      </a>
    );
  };
  return (
    <div class="below">
      <nav class="around" aria-label="Next and previous chapter">
        {link(-1)}
        {link(1)}
      </nav>
      <details>
        <summary>Notes for the lecturer</summary>
        <Notes view={view} />
      </details>
    </div>
  );
}

/** The keyboard shortcuts, as a dialog. */
export function KeyTable(): VNode {
  return (
    <>
      <h2>Keys</h2>
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
      <form method="dialog">
        <button type="submit" class="primary">
          Close
        </button>
      </form>
    </>
  );
}

/** The chapter's heading; a new chapter scrolls to the top and moves the keyboard focus to it. */
class Heading extends Component<{ chapter: string; children: ComponentChildren }> {
  private readonly element = createRef<HTMLHeadingElement>();

  override componentDidUpdate(before: { chapter: string }): void {
    if (before.chapter === this.props.chapter) return;
    if (document.activeElement?.closest(".around") || document.activeElement === document.body) {
      this.element.current?.focus({ preventScroll: true });
    }
    scrollTo(0, 0);
  }

  override render(): VNode {
    return (
      <h1 ref={this.element} tabIndex={-1}>
        {this.props.children}
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
