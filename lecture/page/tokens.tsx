import type { VNode } from "preact";
import type { App } from "./app.js";
import { modeName, stepOf } from "./run.js";

/** Token text with visible whitespace. */
export const visible = (text: string | undefined): string =>
  (text ?? "?").replaceAll("\n", "⏎").replaceAll(" ", "·").replaceAll("<|begin_of_text|>", "⟨begin⟩");

/** A token's role in a step: repeated input, new input, in the cache, or not reached yet. */
type Kind = "past" | "new" | "kept" | "ahead";

const MEANING: Readonly<Record<Kind, string>> = {
  past: "past, passed again",
  new: "new",
  kept: "in the cache, not passed",
  ahead: "prompt, not reached yet",
};

/** Marks new tokens without relying on colour. It has no width, so that lines keep their breaks. */
const Pointer = (): VNode => <i class="pointer" aria-hidden="true" />;

/** Legend for the shapes and colours of tokens. */
export function TokenLegend({ kinds }: { kinds: readonly Kind[] }): VNode {
  return (
    <p class="legend">
      {kinds.map((kind) => (
        <span key={kind}>
          <span class={`token ${kind}`}>{kind === "new" && <Pointer />}token</span> {MEANING[kind]}
        </span>
      ))}
    </p>
  );
}

function Token({ text, kind, id }: { text: string | undefined; kind: Kind; id: number }): VNode {
  return (
    <span class={`token ${kind}`} title={`id ${id}, ${MEANING[kind]}`}>
      {kind === "new" && <Pointer />}
      {visible(text)}
    </span>
  );
}

/** The prompt and generated tokens of every sequence. */
export function TokenTable({ app }: { app: App }): VNode {
  const { run, pair } = app;
  const step = pair?.cached ?? pair?.uncached;
  return (
    <div class="token-table">
      {run?.header.prompts.map(({ ids }, sequence) => {
        const generated = run.steps
          .slice(0, step?.iteration ?? 0)
          .map((one) => (one.cached ?? one.uncached)!.next[sequence]!);
        const first = run.steps[0] ? (run.steps[0].cached ?? run.steps[0].uncached)!.curPos : 0;
        const tokens = [
          ...ids.map((id) => ({ id, own: true })),
          ...generated.flatMap(({ id, source }, i) =>
            first + i >= ids.length && source === "model" ? [{ id, own: false }] : [],
          ),
        ];
        return (
          <section key={sequence} class="token-sequence">
            <h3>
              Sequence {sequence} <small>{ids.length} tokens</small>
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
                      {visible(run.tokenStrings[id])}
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

const SOURCES = { model: "chosen by the model", prompt: "from the prompt", padding: "padding" } as const;

/** Input ids of one mode in the shown step, one line for each sequence, newest tokens at the right. */
export function InputTokens({ app, cached }: { app: App; cached: boolean }): VNode {
  const { run, pair } = app;
  const step = stepOf(pair, cached);
  const newFrom = pair?.cached?.prevPos ?? step?.prevPos ?? 0;
  const each = step ? step.curPos - step.prevPos : 0;
  return (
    <section class={`inputs ${cached ? "cached" : "uncached"}`} data-mode={cached ? "cached" : "uncached"}>
      <h3>{modeName(cached)}</h3>
      <p class="input-range">
        {step ? (
          <>
            input{" "}
            <code>
              prevPos:curPos ={" "}
              <b data-test="range">
                {step.prevPos}:{step.curPos}
              </b>
            </code>
            , {each === 1 ? "1 token" : `${each} tokens`} per sequence
          </>
        ) : (
          "this mode has ended"
        )}
      </p>
      {step &&
        run?.header.prompts.map((_, sequence) => {
          const input = step.inputIds[sequence]!;
          const kept = tokensBefore(app, cached, sequence, step.prevPos);
          const { id, source } = step.next[sequence]!;
          return (
            <div
              key={sequence}
              class={sequence === app.view.sequence ? "input-sequence selected" : "input-sequence"}
            >
              <span class="sequence-name">{sequence}</span>
              <div class="strip">
                <div>
                  {[...kept, ...input].slice(-48).map((one, i, { length }) => {
                    const position = kept.length + input.length - length + i;
                    const kind = position < step.prevPos ? "kept" : position < newFrom ? "past" : "new";
                    return <Token key={position} id={one} kind={kind} text={run.tokenStrings[one]} />;
                  })}
                </div>
              </div>
              <span class="next" title={SOURCES[source]}>
                →{" "}
                <span class={`token ${source === "model" ? "chosen" : "ahead"}`}>
                  {visible(run.tokenStrings[id])}
                </span>
                <small>{source}</small>
              </span>
            </div>
          );
        })}
    </section>
  );
}

/** A sequence's token ids before position `end` in one mode; with a planted bug, the modes can differ. */
export function tokensBefore(app: App, cached: boolean, sequence: number, end: number): number[] {
  const steps = (app.run?.steps ?? []).flatMap((pair) => stepOf(pair, cached) ?? []);
  const first = steps[0]?.inputIds[sequence] ?? [];
  return [...first, ...steps.flatMap(({ next }) => next[sequence]?.id ?? [])].slice(0, end);
}
