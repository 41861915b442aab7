import hljs from "highlight.js/lib/core";
import typescript from "highlight.js/lib/languages/typescript";
import { Component, createRef, type VNode } from "preact";
import type { App } from "./app.js";
import { type CodeId, codeLink, findLines } from "./code-links.js";

hljs.registerLanguage("typescript", typescript);

const sources: Record<string, string> = import.meta.glob(
  [
    "../../src/{model,generation,cost}/*.ts",
    "../../src/tokenizer/tokenizer.ts",
    "../../scripts/lecture-prompts.ts",
    "../bugs.ts",
  ],
  { query: "?raw", import: "default", eager: true },
);

const sourceOf = (file: string): string =>
  sources[file.startsWith("lecture/") ? `../${file.slice("lecture/".length)}` : `../../${file}`] ?? "";

/** A button that shows the code of the element beside it. */
export function CodeButton({ app, id, label }: { app: App; id: CodeId; label?: string }): VNode {
  const { title, file } = codeLink(id);
  const open = app.code.id === id;
  return (
    <button
      type="button"
      class="code-link"
      aria-pressed={open}
      title={`${title}, in ${file}`}
      onClick={({ detail }) => app.code.toggle(id, detail === 0)}
    >
      <span aria-hidden="true">{"{ }"}</span> {label ?? title}
    </button>
  );
}

/** Source code, scrolled to the lines that the open link names. */
export class CodePanel extends Component<{ app: App; id: CodeId }> {
  private readonly body = createRef<HTMLDivElement>();

  override componentDidMount(): void {
    this.reveal();
    if (this.props.app.code.takesFocus) this.body.current?.focus({ preventScroll: true });
  }

  override componentDidUpdate(before: { id: CodeId }): void {
    if (before.id === this.props.id) return;
    this.reveal();
    if (this.props.app.code.takesFocus) this.body.current?.focus({ preventScroll: true });
  }

  /** Scrolls within the panel only. */
  private reveal(): void {
    const body = this.body.current;
    const marked = body?.querySelector<HTMLElement>(".marked");
    if (body && marked) body.scrollTop = marked.offsetTop - body.offsetTop - 48;
  }

  override render({ app, id }: { app: App; id: CodeId }): VNode {
    const link = codeLink(id);
    const source = sourceOf(link.file);
    const [first, last] = findLines(source, link) ?? [0, 0];
    return (
      <aside class="code-panel" aria-label="Source code">
        <header>
          <div>
            <strong>{link.title}</strong>
            <div class="file">
              {link.file}, lines {first}–{last}
            </div>
          </div>
          <button type="button" class="plain" aria-label="Close the code" onClick={() => app.code.close()}>
            ✕
          </button>
        </header>
        <div class="source" ref={this.body} tabIndex={0} role="region" aria-label={link.file}>
          <pre>
            <code>
              {highlighted(source).map((html, i) => (
                <span
                  key={i}
                  class={i + 1 >= first && i + 1 <= last ? "line marked" : "line"}
                  data-line={i + 1}
                  dangerouslySetInnerHTML={{ __html: `${html || " "}\n` }}
                />
              ))}
            </code>
          </pre>
        </div>
      </aside>
    );
  }
}

const cache = new Map<string, string[]>();

/** Source as lines of HTML. A tag that spans several lines is closed and reopened on each of them. */
function highlighted(source: string): string[] {
  const known = cache.get(source);
  if (known) return known;
  let open: string[] = [];
  const lines = hljs
    .highlight(source, { language: "typescript" })
    .value.trimEnd()
    .split("\n")
    .map((line) => {
      const before = open.join("");
      for (const tag of line.match(/<span[^>]*>|<\/span>/g) ?? []) {
        open = tag === "</span>" ? open.slice(0, -1) : [...open, tag];
      }
      return before + line + "</span>".repeat(open.length);
    });
  cache.set(source, lines);
  return lines;
}
