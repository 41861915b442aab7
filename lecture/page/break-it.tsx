import type { VNode } from "preact";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { BUGS } from "../bugs.js";
import type { StepPair } from "../trace.js";
import type { App } from "./app.js";
import { CodeButton } from "./code-panel.js";
import { modeName, stepOf } from "./run.js";
import { visible } from "./tokens.js";

/** The first token of a broken mode that differs from the correct model's. */
interface FirstDifference {
  readonly iteration: number;
  readonly sequence: number;
  readonly position: number;
  readonly id: number;
  readonly correct: number;
}

/** Searches the steps up to the shown one. */
function firstDifference(steps: readonly StepPair[], cached: boolean): FirstDifference | undefined {
  for (const pair of steps) {
    const step = stepOf(pair, cached);
    const sequence =
      step?.next.findIndex(({ id }, i) => pair.reference && pair.reference.next[i] !== id) ?? -1;
    if (step && sequence >= 0) {
      const { iteration, curPos: position, next } = step;
      return {
        iteration,
        sequence,
        position,
        id: next[sequence]!.id,
        correct: pair.reference!.next[sequence]!,
      };
    }
  }
  return undefined;
}

const largest = (steps: readonly StepPair[], mode: "cached" | "uncached"): number =>
  Math.max(
    0,
    ...steps.flatMap(({ reference }) => reference?.[mode] ?? []).map((difference) => difference ?? 0),
  );

/** Plants a bug and shows its effect on each mode. */
export function BreakIt({ app }: { app: App }): VNode {
  const { run, view } = app;
  const bug = BUGS.find(({ id }) => id === view.bug);
  const steps = run?.steps.slice(0, view.step) ?? [];
  const choose = (id: string): void => {
    app.navigate({ bug: id, step: id ? 6 : 1 });
  };
  return (
    <div class="break">
      <fieldset disabled={app.replaying !== undefined}>
        <legend>Plant a bug</legend>
        {[{ id: "", title: "none: the correct model" }, ...BUGS].map(({ id, title }) => (
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
              ? "A saved trace has no model to break: return to the bundled model in the first chapter. "
              : ""}
            Both modes generate the same text. Choose a bug, then step forward and see which mode diverges,
            and when.
          </p>
        )}
        {bug &&
          ([true, false] as const).map((cached) => {
            const first = firstDifference(steps, cached);
            const difference = largest(steps, cached ? "cached" : "uncached");
            const wrong = difference > LOGIT_TOLERANCE;
            return (
              <section
                key={String(cached)}
                class={`consequence ${cached ? "cached" : "uncached"}`}
                data-mode={cached ? "cached" : "uncached"}
              >
                <h3>{modeName(cached)}</h3>
                <p>
                  <b class={wrong ? "bad" : "good"}>
                    {wrong ? "✘ logits are wrong" : "✔ logits are correct"}
                  </b>
                  , off by up to{" "}
                  <b class="unbroken" data-test="off-by">
                    {difference < 0.001 ? difference.toExponential(1) : difference.toFixed(2)}
                  </b>
                </p>
                <p data-test="first-difference">
                  {first ? (
                    <>
                      First wrong token in step {first.iteration}, sequence {first.sequence}, position{" "}
                      {first.position}: <span class="token new">{visible(run!.tokenStrings[first.id])}</span>{" "}
                      instead of <span class="token ahead">{visible(run!.tokenStrings[first.correct])}</span>
                    </>
                  ) : (
                    `All tokens of ${steps.length} steps are correct${wrong ? ": the largest logit is still the same" : ""}`
                  )}
                </p>
              </section>
            );
          })}
        {bug && (
          <p class="note">
            Found by{" "}
            {bug.caughtBy
              .map((check) =>
                check === "modes" ? "comparing the two modes" : "comparing with the logits of transformers",
              )
              .join(" and by ")}
            .
            {bug.caughtBy.includes("modes")
              ? ""
              : " The two modes agree with each other, so only an independent reference finds it."}
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

/** After a click, the arrow keys step again; after keyboard focus, they keep changing the choice. */
const releaseArrows = (event: MouseEvent): void => {
  const byPointer = event.detail > 0 && event.screenX !== 0;
  if (byPointer) (event.currentTarget as HTMLElement).blur();
};
