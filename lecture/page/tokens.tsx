import type { VNode } from "preact";
import type { App } from "./app.js";
import { type Run, stepOf } from "./run.js";

/** Token text with visible whitespace. */
const visible = (text: string | undefined): string =>
  (text ?? "?").replaceAll("\n", "⏎").replaceAll(" ", "·").replaceAll("<|begin_of_text|>", "⟨begin⟩");

/** Token text for labels: without the space before a word. */
export const label = (text: string | undefined): string => visible(text).replace(/^·(?=.)/, "");

/** A token's role in a step: computed for the first time, again, read from the cache, or not reached yet. */
export type Kind = "new" | "again" | "read" | "ahead";

/** Meanings of the kinds. */
export const MEANING: Readonly<Record<Kind, string>> = {
  new: "computed for the first time",
  again: "computed again",
  read: "read from the cache",
  ahead: "not reached yet",
};

/** The kind of each position before `curPos` in one mode's step. */
export function kindsOf(app: App, cached: boolean): Kind[] {
  const step = stepOf(app.pair, cached);
  if (!step) return [];
  const newFrom = step.iteration > 1 ? step.curPos - 1 : step.prevPos;
  return Array.from({ length: step.curPos }, (_, position) =>
    position < step.prevPos ? "read" : position < newFrom ? "again" : "new",
  );
}

/** A sequence's token ids before position `end` in one mode; with a planted bug, the modes can differ. */
export function tokensBefore(run: Run | undefined, cached: boolean, sequence: number, end: number): number[] {
  const steps = (run?.steps ?? []).flatMap((pair) => stepOf(pair, cached) ?? []);
  const first = steps[0]?.inputIds[sequence] ?? [];
  return [...first, ...steps.flatMap(({ next }) => next[sequence]?.id ?? [])].slice(0, end);
}

/** Class of what holds the marks of a step: each change of it restarts their animation. */
export const flashOf = (step: number): string => (step % 2 === 0 ? "even" : "odd");

/** The text of one mode as flowing text; each token has the colour of its kind, and the next one a frame. */
export function TokenText({ app, cached }: { app: App; cached: boolean }): VNode {
  const { run, view } = app;
  const step = stepOf(app.pair, cached);
  const kinds = kindsOf(app, cached);
  const ids = tokensBefore(run, cached, view.sequence, step?.curPos ?? 0);
  const next = step?.next[view.sequence];
  return (
    <p class="token-text">
      <span class={flashOf(view.step)}>
        {ids.map((id, position) => (
          <InText
            key={position}
            kind={kinds[position]!}
            title={MEANING[kinds[position]!]}
            text={run?.tokenStrings[id]}
          />
        ))}
        {next && <InText kind="next" title="the next token" text={run?.tokenStrings[next.id]} />}
      </span>
    </p>
  );
}

/** A token inside a sentence: the space before a word separates the words and is not marked. */
function InText({
  text = "?",
  kind,
  title,
}: {
  text: string | undefined;
  kind: Kind | "next";
  title: string;
}): VNode {
  const shown = text.replaceAll("\n", "⏎").replaceAll("<|begin_of_text|>", "⟨begin⟩ ");
  return (
    <>
      {/^ ./.test(shown) && " "}
      <span class={`token ${kind}`} title={title}>
        {shown.replace(/^ (?=.)/, "")}
      </span>
    </>
  );
}
