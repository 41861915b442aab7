import type { VNode } from "preact";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { BUGS } from "../bugs.js";
import type { Turn } from "../trace.js";
import type { App } from "./app.js";
import { CodeButton } from "./code-panel.js";
import { modeName, stepOf } from "./run.js";
import { visible } from "./tokens.js";

/** Where a broken mode first has another token than the whole model. */
interface FirstDifference {
  readonly iteration: number;
  readonly row: number;
  readonly position: number;
  readonly id: number;
  readonly right: number;
}

/** Looks through the turns on show. */
export function firstDifference(turns: readonly Turn[], cached: boolean): FirstDifference | undefined {
  for (const turn of turns) {
    const step = stepOf(turn, cached);
    const row = step?.next.findIndex(({ id }, i) => turn.whole && turn.whole.next[i] !== id) ?? -1;
    if (step && row >= 0) {
      const { iteration, curPos: position, next } = step;
      return { iteration, row, position, id: next[row]!.id, right: turn.whole!.next[row]! };
    }
  }
  return undefined;
}

const largest = (turns: readonly Turn[], mode: "cached" | "uncached"): number =>
  Math.max(0, ...turns.flatMap(({ whole }) => whole?.[mode] ?? []).map((difference) => difference ?? 0));

/** Choose a bug, and see what it does to either mode. */
export function BreakIt({ app }: { app: App }): VNode {
  const { run, view } = app;
  const bug = BUGS.find(({ id }) => id === view.bug);
  const turns = run?.turns.slice(0, view.step) ?? [];
  const choose = (id: string): void => {
    app.turnTo({ bug: id, step: id ? 6 : 1 });
  };
  return (
    <div class="break">
      <fieldset disabled={app.replaying !== undefined}>
        <legend>Plant a bug</legend>
        {[{ id: "", title: "none: the model as it is" }, ...BUGS].map(({ id, title }) => (
          <label key={id} class={view.bug === id ? "chosen" : undefined}>
            <input
              type="radio"
              name="bug"
              value={id}
              checked={view.bug === id}
              onChange={() => choose(id)}
              onClick={releaseArrows}
            />
            <span>{title}</span>
          </label>
        ))}
      </fieldset>
      <div class="consequences" aria-live="polite">
        {bug ? (
          <p class="story">{bug.story}</p>
        ) : (
          <p class="story">
            {app.replaying
              ? "A trace is a record, with no model to break: go back to the bundled one in the first chapter. "
              : ""}
            Both modes tell the same text. Choose a bug, then step on and watch which of them leaves it, and
            when.
          </p>
        )}
        {bug &&
          ([true, false] as const).map((cached) => {
            const first = firstDifference(turns, cached);
            const difference = largest(turns, cached ? "cached" : "uncached");
            const wrong = difference > LOGIT_TOLERANCE;
            return (
              <section
                key={String(cached)}
                class={`consequence ${cached ? "cached" : "uncached"}`}
                data-mode={cached ? "cached" : "uncached"}
              >
                <h3>{modeName(cached)}</h3>
                <p>
                  <b class={wrong ? "bad" : "good"}>{wrong ? "✘ scores are wrong" : "✔ scores are right"}</b>,
                  off by up to{" "}
                  <b class="unbroken" data-test="off-by">
                    {difference < 0.001 ? difference.toExponential(1) : difference.toFixed(2)}
                  </b>
                </p>
                <p data-test="first-difference">
                  {first ? (
                    <>
                      First wrong token in step {first.iteration}, row {first.row}, position {first.position}:{" "}
                      <span class="token new">{visible(run!.words[first.id])}</span> where{" "}
                      <span class="token ahead">{visible(run!.words[first.right])}</span> is right
                    </>
                  ) : (
                    `Every token right in ${turns.length} steps${wrong ? ", by luck: the best score still leads" : ""}`
                  )}
                </p>
              </section>
            );
          })}
        {bug && (
          <p class="note">
            Seen by:{" "}
            {bug.caughtBy
              .map((check) =>
                check === "modes" ? "comparing the two modes" : "comparing with transformers’ logits",
              )
              .join(", and ")}
            .
            {bug.caughtBy.includes("modes")
              ? ""
              : " The two modes agree with each other, so only a reference from outside finds it."}
          </p>
        )}
        <p class="links">
          <CodeButton app={app} id={bug ? `bug:${bug.id}` : "bugs"} label="How it is planted" />
          <CodeButton app={app} id="compare" />
        </p>
      </div>
    </div>
  );
}

/** After a click the arrow keys step again; who came to the choice by keyboard goes on choosing with them. */
const releaseArrows = (event: MouseEvent): void => {
  const byPointer = event.detail > 0 && event.screenX !== 0;
  if (byPointer) (event.currentTarget as HTMLElement).blur();
};
