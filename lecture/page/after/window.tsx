import { Fragment, type VNode } from "preact";
import type { Ring, RingState } from "../../after/ring.js";
import { RING, WINDOWS } from "../../after/settings.js";
import type { App } from "../app.js";
import { label } from "../tokens.js";
import { LossTable, lossNumber } from "./loss-table.js";
import { part, type Topic } from "./topic.js";

/** The ring at the page's step. */
function stateOf(app: App): readonly [Ring, RingState] | undefined {
  const all = app.demo("ring", 0);
  return all && [all, all.states[Math.min(app.view.step, all.states.length) - 1]!];
}

function WindowFigure({ app }: { app: App }): VNode {
  if (part(app) === 2) {
    return (
      <LossTable
        app={app}
        demo="windowLoss"
        caption="positions kept"
        names={WINDOWS.map(({ window, sinks }) =>
          sinks > 0 ? `${sinks} sinks + ${window}` : String(window),
        )}
      />
    );
  }
  const shown = stateOf(app);
  if (!shown) return <figure class="ring">Computing…</figure>;
  const [{ tokens }, { prevPos, curPos, positions, visible }] = shown;
  const slots = positions.slice(RING.sinks);
  const kindOf = (slot: number): string => {
    const position = positions[slot];
    if (position === undefined) return "free";
    return position >= prevPos ? "new" : visible[slot] ? "kept" : "dropped";
  };
  const isDropped = (position: number) => !positions.some((one, slot) => one === position && visible[slot]);
  return (
    <figure class="ring">
      <div class="circle-box">
        <div class="circle">
          <svg viewBox="-1 -1 2 2" aria-hidden="true">
            {slots.map((_, i) => (
              <path key={i} class={`slot ${kindOf(RING.sinks + i)}`} d={sector(i, slots.length)} />
            ))}
          </svg>
          {slots.map((position, i) => {
            const angle = (2 * Math.PI * (i + 0.5)) / slots.length;
            return (
              <span
                key={i}
                class={`slot-text ${kindOf(RING.sinks + i)}`}
                style={{ left: `${50 + 41 * Math.sin(angle)}%`, top: `${50 - 41 * Math.cos(angle)}%` }}
              >
                {position === undefined ? "" : label(tokens[position])}
              </span>
            );
          })}
          <p class="sinks">
            {positions.slice(0, RING.sinks).map((position, slot) => (
              <span key={slot} class={`sink ${kindOf(slot)}`}>
                {position === undefined ? "" : label(tokens[position])}
              </span>
            ))}
            sinks
          </p>
        </div>
      </div>
      <div class="beside">
        <p class="token-text">
          {tokens.slice(0, curPos).map((token, position) => (
            <Fragment key={position}>
              <span
                class={position >= prevPos ? "token new" : isDropped(position) ? "token dropped" : "token"}
              >
                {label(token)}
              </span>{" "}
            </Fragment>
          ))}
        </p>
        <p class="legend">
          <span>
            <i class="key new" /> written now
          </span>
          <span>
            <i class="key kept" /> in the window
          </span>
          <span>
            <i class="key dropped" /> no longer seen
          </span>
        </p>
      </div>
    </figure>
  );
}

/** A ring's slot as a path. */
function sector(i: number, count: number): string {
  const point = (radius: number, at: number) => {
    const angle = (2 * Math.PI * at) / count;
    return `${(radius * Math.sin(angle)).toFixed(3)} ${(-radius * Math.cos(angle)).toFixed(3)}`;
  };
  const gap = 0.04;
  return `M${point(0.98, i + gap)}A0.98 0.98 0 0 1 ${point(0.98, i + 1 - gap)}L${point(0.64, i + 1 - gap)}A0.64 0.64 0 0 0 ${point(0.64, i + gap)}z`;
}

/** A cache of constant size, which forgets. */
export const SLIDING: Topic = {
  name: "Sliding window",
  menu: "Window",
  kind: "LOSSY",
  minutes: 7,
  notes: [
    "Step with →: the newest token overwrites the oldest slot. Memory stays the same for ever.",
    "Slots are out of order, and it does not matter: each key is rotated by its own position.",
    "Mistral was trained with a window, so for it nothing is lost. This model was not.",
    "Sinks help models that put much attention on their first tokens. This small one does not: compare the last rows.",
  ],
  question: () => `The window of ${RING.window} positions is full. Which slot does the next position get?`,
  answers: {
    1: () =>
      "The oldest position leaves the window, and its slot is the next to be overwritten. The sinks stay.",
    2: () =>
      "Nothing, while all positions fit. This small model has no sinks: keeping some does not help it.",
  },
  number: (app) => {
    if (part(app) === 2) return lossNumber(app, "windowLoss", 3, `window of ${WINDOWS[3].window}`);
    const [, state] = stateOf(app) ?? [];
    const seen = state?.visible.filter(Boolean).length;
    return { value: state ? `${seen} of ${state.curPos}` : "…", caption: "positions are attended to" };
  },
  prose: () => (
    <>
      <p>
        A <b>sliding window</b> keeps the last positions in a ring. Memory no longer grows, and text can go on
        beyond the model’s context.
      </p>
      <p>
        Models that were trained with a window lose nothing. Others lose what was dropped. Many also need
        their first tokens, the <b>attention sinks</b>, whatever they are: these have slots of their own.
      </p>
    </>
  ),
  figure: (app) => <WindowFigure app={app} />,
  code: ["slotOf", "windowMask"],
};
