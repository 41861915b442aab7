import hljs from "highlight.js/lib/core";
import typescript from "highlight.js/lib/languages/typescript";
import type { VNode } from "preact";
import type { App } from "./app.js";
import { type CodeId, codeLink, findLines } from "./code-links.js";

hljs.registerLanguage("typescript", typescript);

const sources: Record<string, string> = import.meta.glob(
  [
    "../../src/{model,cache,generation,cost}/*.ts",
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
  return (
    <button
      type="button"
      class="code-link"
      aria-expanded={app.view.code === id}
      title={`${title}, in ${file}`}
      onClick={() => app.toggleCode(id)}
    >
      <span aria-hidden="true">{"{ }"}</span> {label ?? title}
    </button>
  );
}

/** Moves the focus to a button that has appeared. */
const takeFocus = (button: HTMLElement | null): void => button?.focus();

/** The lines of a link, over the figure: whole, and wrapped where they are longer than the window. */
export function CodePanel({ app, id }: { app: App; id: CodeId }): VNode {
  const { title, file } = codeLink(id);
  const { first, last } = linesOf(id);
  return (
    <aside class="code-panel" aria-label="Source code">
      <header>
        <div>
          <strong>{title}</strong>
          <div class="file">
            {file}, lines {first}–{last}
          </div>
        </div>
        <button
          type="button"
          class="plain"
          aria-label="Close the code"
          onClick={() => app.show({ code: "" })}
          ref={takeFocus}
        >
          ✕
        </button>
      </header>
      <div class="source" tabIndex={0} role="region" aria-label={file}>
        <Code id={id} />
      </div>
    </aside>
  );
}

interface CodeProps {
  readonly id: CodeId;
  /** The lines of the link to show; all by default. */
  readonly only?: (line: string) => boolean;
  /** The lines to mark. */
  readonly mark?: (line: string) => boolean;
}

/** Lines of source code; where only some are shown, as a part of a figure, without the comments at their ends. */
export function Code({ id, only, mark = () => false }: CodeProps): VNode {
  const { text, html } = linesOf(id);
  const shown = only ? html.map((line) => line.replace(/\s*<span class="hljs-comment">.*$/, "")) : html;
  return (
    <pre class="code">
      <code>
        {shown.map((line, i) =>
          !only || only(text[i]!) ? (
            <span
              key={i}
              class={mark(text[i]!) ? "line marked" : "line"}
              dangerouslySetInnerHTML={{ __html: line || " " }}
            />
          ) : null,
        )}
      </code>
    </pre>
  );
}

/** The lines of a link as text and as HTML, without the indent that they share. */
function linesOf(id: CodeId): { first: number; last: number; text: string[]; html: string[] } {
  const link = codeLink(id);
  const source = sourceOf(link.file);
  const [first, last] = findLines(source, link) ?? [1, 1];
  const lines = source.split("\n").slice(first - 1, last);
  const indent = Math.min(...lines.filter(Boolean).map((line) => line.search(/\S/)));
  const text = lines.map((line) => line.slice(indent));
  return { first, last, text, html: highlighted(text.join("\n")) };
}

const cache = new Map<string, string[]>();

/** Source as lines of HTML. A tag that spans several lines is closed and reopened on each of them. */
function highlighted(source: string): string[] {
  const known = cache.get(source);
  if (known) return known;
  let open: string[] = [];
  const lines = hljs
    .highlight(source, { language: "typescript" })
    .value.split("\n")
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
