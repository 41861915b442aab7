import type { VNode } from "preact";
import type { App } from "./app.js";
import { modeName, stepOf } from "./run.js";

/** A token's text where blanks and line ends can be seen. */
export const visible = (word: string | undefined): string =>
  (word ?? "?").replaceAll("\n", "⏎").replaceAll(" ", "·").replaceAll("<|begin_of_text|>", "⟨begin⟩");

/** How a token stands to a step: fed before, fed for the first time, only in the cache, or not reached yet. */
type Kind = "past" | "new" | "kept" | "ahead";

const MEANING: Readonly<Record<Kind, string>> = {
  past: "past, fed again",
  new: "new",
  kept: "in the cache, not fed",
  ahead: "of the prompt, not reached yet",
};

/** Marks new tokens without colour. It takes no room, so that no line breaks elsewhere when a token becomes new. */
const Pointer = (): VNode => <i class="pointer" aria-hidden="true" />;

/** What the shapes and colours of tokens mean. */
export function TokenLegend({ kinds }: { kinds: readonly Kind[] }): VNode {
  return (
    <p class="legend">
      {kinds.map((kind) => (
        <span key={kind}>
          <span class={`token ${kind}`}>{kind === "new" && <Pointer />}word</span> {MEANING[kind]}
        </span>
      ))}
    </p>
  );
}

function Token({ word, kind, id }: { word: string | undefined; kind: Kind; id: number }): VNode {
  return (
    <span class={`token ${kind}`} title={`id ${id}, ${MEANING[kind]}`}>
      {kind === "new" && <Pointer />}
      {visible(word)}
    </span>
  );
}

/** Every row's whole text, as far as it is decided. */
export function TokenTable({ app }: { app: App }): VNode {
  const { run, turn } = app;
  const step = turn?.cached ?? turn?.uncached;
  return (
    <div class="token-table">
      {run?.head.prompts.map(({ ids }, row) => {
        const decided = run.turns
          .slice(0, step?.iteration ?? 0)
          .map((one) => (one.cached ?? one.uncached)!.next[row]!);
        const first = run.turns[0] ? (run.turns[0].cached ?? run.turns[0].uncached)!.curPos : 0;
        const tokens = [
          ...ids.map((id) => ({ id, own: true })),
          ...decided.flatMap(({ id, source }, i) =>
            first + i >= ids.length && source === "model" ? [{ id, own: false }] : [],
          ),
        ];
        return (
          <section key={row} class="token-row">
            <h3>
              Row {row} <small>{ids.length} tokens</small>
            </h3>
            <p>
              {tokens.map(({ id }, position) => {
                const now = step && position >= step.prevPos && position < step.curPos;
                const kind: Kind = !step || position >= step.curPos ? "ahead" : now ? "new" : "past";
                const chosen = step && position === step.curPos && position >= ids.length;
                return (
                  <span key={position} class={position === ids.length ? "after-prompt" : undefined}>
                    <span
                      class={`token ${chosen ? "chosen" : kind}`}
                      title={`position ${position}, id ${id}`}
                    >
                      {kind === "new" && <Pointer />}
                      {visible(run.words[id])}
                    </span>
                  </span>
                );
              })}
            </p>
          </section>
        );
      })}
    </div>
  );
}

const SOURCES = { model: "chosen by the model", prompt: "its own prompt", padding: "row has ended" } as const;

/** What one mode feeds in the step on show, a line a row: the newest tokens at the right end. */
export function FedTokens({ app, cached }: { app: App; cached: boolean }): VNode {
  const { run, turn } = app;
  const step = stepOf(turn, cached);
  const newFrom = turn?.cached?.prevPos ?? step?.prevPos ?? 0;
  const each = step ? step.curPos - step.prevPos : 0;
  return (
    <section class={`fed ${cached ? "cached" : "uncached"}`} data-mode={cached ? "cached" : "uncached"}>
      <h3>{modeName(cached)}</h3>
      <p class="fed-range">
        {step ? (
          <>
            feeds{" "}
            <code>
              prevPos:curPos ={" "}
              <b data-test="range">
                {step.prevPos}:{step.curPos}
              </b>
            </code>
            , {each === 1 ? "1 token" : `${each} tokens`} a row
          </>
        ) : (
          "this mode has ended"
        )}
      </p>
      {step &&
        run?.head.prompts.map((_, row) => {
          const fed = step.inputIds[row]!;
          const kept = tokensBefore(app, cached, row, step.prevPos);
          const { id, source } = step.next[row]!;
          return (
            <div key={row} class={row === app.view.row ? "fed-row chosen-row" : "fed-row"}>
              <span class="row-name">{row}</span>
              <div class="strip">
                <div>
                  {[...kept, ...fed].slice(-48).map((one, i, { length }) => {
                    const position = kept.length + fed.length - length + i;
                    const kind = position < step.prevPos ? "kept" : position < newFrom ? "past" : "new";
                    return <Token key={position} id={one} kind={kind} word={run.words[one]} />;
                  })}
                </div>
              </div>
              <span class="next" title={SOURCES[source]}>
                →{" "}
                <span class={`token ${source === "model" ? "chosen" : "ahead"}`}>
                  {visible(run.words[id])}
                </span>
                <small>{source === "model" ? "model" : source === "prompt" ? "prompt" : "ended"}</small>
              </span>
            </div>
          );
        })}
    </section>
  );
}

/** The ids at a row's positions before `end` in one mode; with a planted bug the two can differ. */
export function tokensBefore(app: App, cached: boolean, row: number, end: number): number[] {
  const steps = (app.run?.turns ?? []).flatMap((turn) => stepOf(turn, cached) ?? []);
  const first = steps[0]?.inputIds[row] ?? [];
  return [...first, ...steps.flatMap(({ next }) => next[row]?.id ?? [])].slice(0, end);
}
