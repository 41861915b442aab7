import { Component, type VNode } from "preact";
import type { App } from "./app.js";
import { AttentionPicture } from "./attention-picture.js";
import { CodeButton } from "./code-panel.js";
import { Picture } from "./picture.js";
import { modeName } from "./run.js";
import { ShownPositions, type State, STATES } from "./shown-positions.js";

interface Props {
  readonly app: App;
  readonly cached: boolean;
}

/** One mode's attention in one layer and head: a picture, and details of the selected position. */
export class ModePanel extends Component<Props, { position: number | undefined }> {
  override state = { position: undefined as number | undefined }; // undefined: the newest

  override render({ app, cached }: Props): VNode {
    const shown = ShownPositions.of(app, cached);
    const name = cached ? "cached" : "uncached";
    if (typeof shown === "string") {
      return (
        <section class={`panel ${name}`} data-mode={name}>
          <h3>{modeName(cached)}</h3>
          <p>{shown}</p>
        </section>
      );
    }
    const { curPos, prevPos } = shown.step;
    const scale = (kind: "key" | "value") => shown.scale(kind).toFixed(1);
    return (
      <section class={`panel ${name}`} data-mode={name}>
        <h3>
          {modeName(cached)}{" "}
          <small>
            input {prevPos}:{curPos}
          </small>
        </h3>
        <StateLegend shown={shown} />
        {this.slider(shown)}
        <p class="legend">
          <span>
            <i class="ramp" aria-hidden="true" /> colours: K from −{scale("key")} to {scale("key")}, V from −
            {scale("value")} to {scale("value")}
          </span>
        </p>
        <p class="inspector">{describe(shown, this.marked(curPos))}</p>
        <p class="note">{noteOn(shown)}</p>
        <p class="links">
          <CodeButton app={app} id="newKeys" />
          <CodeButton app={app} id={cached ? "append" : "switch"} />
          <CodeButton app={app} id="weights" />
        </p>
      </section>
    );
  }

  /** The picture; pointer and arrow keys select a position. */
  private slider(shown: ShownPositions): VNode {
    const { curPos } = shown.step;
    const picture = new AttentionPicture(shown);
    const marked = this.marked(curPos);
    const onKeyDown = (event: KeyboardEvent): void => {
      const all = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -curPos, End: curPos };
      const by = all[event.key as keyof typeof all];
      if (by === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.setState({ position: Math.max(0, Math.min(curPos - 1, this.marked(curPos) + by)) });
    };
    return (
      <div
        class="picture"
        role="slider"
        tabIndex={0}
        aria-label={`${modeName(shown.cached)}: selected position`}
        aria-orientation="vertical"
        aria-valuemin={0}
        aria-valuemax={curPos - 1}
        aria-valuenow={marked}
        aria-valuetext={`position ${marked}, ${STATES[shown.stateOf(marked)]}`}
        onKeyDown={onKeyDown}
      >
        <Picture
          height={() => picture.height}
          draw={(sheet) => picture.draw(sheet, marked)}
          onPoint={(_, y) => this.setState({ position: picture.positionAt(y) })}
        />
      </div>
    );
  }

  private marked(curPos: number): number {
    return Math.min(this.state.position ?? curPos - 1, curPos - 1);
  }
}

/** Number of positions in each state that this mode has. */
function StateLegend({ shown }: { shown: ShownPositions }): VNode {
  const { cached, counts } = shown;
  const states = (Object.keys(STATES) as State[]).filter(
    (state) => state !== (cached ? "recomputed" : "reused"),
  );
  return (
    <p class="legend states">
      {states.map((state) => (
        <span key={state}>
          <i class={`mark ${state}`} aria-hidden="true" /> <b data-test={state}>{counts[state]}</b>{" "}
          {STATES[state]}
        </span>
      ))}
    </p>
  );
}

/** Details of a position. */
function describe(shown: ShownPositions, position: number): VNode {
  const key = shown.vector("key", position);
  const range = key
    ? `K from ${Math.min(...key).toFixed(1)} to ${Math.max(...key).toFixed(1)}`.replaceAll("-", "−")
    : "";
  return (
    <>
      position {position} <b>{shown.textAt(position)}</b>: {STATES[shown.stateOf(position)]}; {range}; gets{" "}
      <b>{(100 * (shown.weights[position] ?? 0)).toFixed(1)} %</b> of the newest token’s attention
    </>
  );
}

/** A sentence about the step. */
function noteOn({ cached, capacity, counts, step: { largestChange } }: ShownPositions): string {
  if (cached) return `The frame is the cache: a capacity of ${capacity} positions, allocated once.`;
  if (counts.recomputed === 0) return "Nothing is kept: the next step recomputes all of it.";
  return largestChange < 1e-3
    ? `Recomputed without a change: no number differs by more than ${largestChange.toExponential(0)}.`
    : `Recomputed with a change: a number differs by ${largestChange.toPrecision(2)}.`;
}
