import type { VNode } from "preact";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { BUGS } from "../bugs.js";
import type { StepPair } from "../trace.js";
import type { App } from "./app.js";
import { difference } from "./format.js";
import { modeName, stepOf } from "./run.js";
import { label } from "./tokens.js";
import { DEFAULT_VIEW } from "./view.js";

/** The exercise about the code that a bug breaks. */
const EXERCISES: Readonly<Record<string, number>> = {
  "rotary-offset": 4,
  "rotary-off-by-one": 4,
  "no-rotary": 4,
  "stale-cache": 2,
  "first-never-written": 2,
  swapped: 2,
  "missing-mask": 1,
  "mask-off-by-one": 1,
  "head-grouping": 5,
};

/** Largest logit difference between a mode and the correct model, in the steps so far. */
const offBy = (steps: readonly StepPair[], cached: boolean): number =>
  Math.max(
    0,
    ...steps
      .flatMap(({ reference }) => reference?.[cached ? "cached" : "uncached"] ?? [])
      .map((one) => one ?? 0),
  );

/** Iteration of the first token that differs from the correct model's; undefined if all are equal. */
export function firstWrong(steps: readonly StepPair[], cached: boolean): number | undefined {
  const index = steps.findIndex((pair) => isWrong(pair, cached));
  return index < 0 ? undefined : index + 1;
}

const isWrong = (pair: StepPair, cached: boolean): boolean =>
  stepOf(pair, cached)?.next.some(({ id }, i) => pair.reference && pair.reference.next[i] !== id) ?? false;

/** True if a mode's logits differ from the correct model's by more than rounding. */
export const isBroken = (app: App, cached: boolean): boolean => offBy(app.steps, cached) > LOGIT_TOLERANCE;

/** The prediction for a mode: true if it is to go wrong; undefined without one. */
function prediction({ view: { vote } }: App, cached: boolean): boolean | undefined {
  const letter = vote[cached ? 0 : 1];
  return letter === "-" ? undefined : letter === "w";
}

/** The predictions that were made, and how many of them are right so far; undefined without any. */
export function score(app: App): string | undefined {
  const made = [true, false].filter((cached) => prediction(app, cached) !== undefined);
  const right = made.filter((cached) => prediction(app, cached) === isBroken(app, cached));
  if (made.length === 0) return undefined;
  return right.length === made.length
    ? "You predicted that."
    : right.length > 0
      ? "You predicted one of two."
      : "You predicted something else.";
}

/** A choice of bugs, and both modes of the broken model beside the correct one. */
export function BreakIt({ app }: { app: App }): VNode {
  const { view, run } = app;
  const bug = BUGS.find(({ id }) => id === view.bug);
  if (app.replaying) {
    return <p>A saved trace has no model to break: return to the bundled model in chapter C.</p>;
  }
  const correct = app.steps.map(({ reference }) => reference?.next[view.sequence]);
  const exercise = EXERCISES[view.bug];
  return (
    <figure class="break">
      <label class="bug">
        <span>planted bug</span>
        <select
          aria-label="planted bug"
          value={view.bug}
          onChange={({ currentTarget }) =>
            app.show({ bug: currentTarget.value, step: view.build > 0 ? 8 : 1, vote: DEFAULT_VIEW.vote })
          }
        >
          <option value="">none: the correct model</option>
          {BUGS.map(({ id, title }) => (
            <option key={id} value={id}>
              {title}
            </option>
          ))}
        </select>
      </label>
      {bug && (
        <section class="lane correct">
          <h2>Correct model</h2>
          <p class="token-text">
            {correct.map((id, i) => (
              <span key={i} class="token">
                {id === undefined ? "…" : label(run?.tokenStrings[id])}
              </span>
            ))}
          </p>
        </section>
      )}
      {[true, false].map((cached) => (
        <Mode key={String(cached)} app={app} cached={cached} />
      ))}
      {bug && app.answered && (
        <p class="story">
          {bug.story}{" "}
          {exercise && (
            <span class="only-prose">
              Mend it yourself, in a clone of the repository: <code>npm run exercise -- {exercise}</code>
            </span>
          )}
        </p>
      )}
    </figure>
  );
}

/** The tokens of one mode of the broken model, wrong ones marked, and its logits' distance from the correct ones. */
function Mode({ app, cached }: { app: App; cached: boolean }): VNode {
  const { view, run, steps } = app;
  const broken = isBroken(app, cached);
  const off = offBy(steps, cached);
  const mode = cached ? "cached" : "uncached";
  return (
    <section class={`lane consequence${app.answered && broken ? " broken" : ""}`} data-mode={mode}>
      <h2>{modeName(cached)}</h2>
      {app.answered ? (
        <>
          <p class="token-text">
            {steps.map((pair, i) => {
              const id = stepOf(pair, cached)?.next[view.sequence]?.id;
              const wrong = pair.reference && id !== undefined && id !== pair.reference.next[view.sequence];
              return (
                <span key={i} class={wrong ? "token wrong" : "token"}>
                  {id === undefined ? "–" : label(run?.tokenStrings[id])}
                </span>
              );
            })}
          </p>
          {view.bug && (
            <p class="off">
              {broken ? "✗" : "✓"} logits off by <b data-test="off-by">{difference(off)}</b>
            </p>
          )}
        </>
      ) : (
        <Vote app={app} cached={cached} />
      )}
    </section>
  );
}

/** Buttons to predict whether a mode goes wrong. */
function Vote({ app, cached }: { app: App; cached: boolean }): VNode {
  const { vote } = app.view;
  const cast = (letter: string) => (cached ? letter + vote[1]! : vote[0]! + letter);
  return (
    <div class="vote" role="group" aria-label={`Prediction: ${modeName(cached)}`}>
      {(
        [
          ["w", "goes wrong"],
          ["r", "stays right"],
        ] as const
      ).map(([letter, name]) => (
        <button
          key={letter}
          type="button"
          aria-pressed={vote[cached ? 0 : 1] === letter}
          onClick={() => app.show({ vote: cast(letter) })}
        >
          {name}
        </button>
      ))}
    </div>
  );
}
