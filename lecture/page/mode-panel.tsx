import { Component, type VNode } from "preact";
import type { App } from "./app.js";
import { AttentionPicture } from "./attention-picture.js";
import { CodeButton } from "./code-panel.js";
import { Picture } from "./picture.js";
import { modeName } from "./run.js";
import { ShownRows, type State, STATES } from "./shown-rows.js";

interface Props {
  readonly app: App;
  readonly cached: boolean;
}

/** One mode's attention in one layer and head: a picture, and what it says of the position looked at. */
export class ModePanel extends Component<Props, { position: number | undefined }> {
  override state = { position: undefined as number | undefined }; // undefined: the newest

  override render({ app, cached }: Props): VNode {
    const rows = ShownRows.of(app, cached);
    const name = cached ? "cached" : "uncached";
    if (typeof rows === "string") {
      return (
        <section class={`panel ${name}`} data-mode={name}>
          <h3>{modeName(cached)}</h3>
          <p>{rows}</p>
        </section>
      );
    }
    const { curPos, prevPos } = rows.step;
    const scale = (kind: "key" | "value") => rows.scale(kind).toFixed(1);
    return (
      <section class={`panel ${name}`} data-mode={name}>
        <h3>
          {modeName(cached)}{" "}
          <small>
            feeds {prevPos}:{curPos}
          </small>
        </h3>
        <StateLegend rows={rows} />
        {this.slider(rows)}
        <p class="legend">
          <span>
            <i class="ramp" aria-hidden="true" /> colours: K from −{scale("key")} to {scale("key")}, V from −
            {scale("value")} to {scale("value")}
          </span>
        </p>
        <p class="inspector">{described(rows, this.marked(curPos))}</p>
        <p class="note">{noteOn(rows)}</p>
        <p class="links">
          <CodeButton app={app} id="newKeys" />
          <CodeButton app={app} id={cached ? "append" : "switch"} />
          <CodeButton app={app} id="scores" />
        </p>
      </section>
    );
  }

  /** The picture; pointer and arrow keys choose the position looked at. */
  private slider(rows: ShownRows): VNode {
    const { curPos } = rows.step;
    const picture = new AttentionPicture(rows);
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
        aria-label={`${modeName(rows.cached)}: position looked at`}
        aria-orientation="vertical"
        aria-valuemin={0}
        aria-valuemax={curPos - 1}
        aria-valuenow={marked}
        aria-valuetext={`position ${marked}, ${STATES[rows.stateOf(marked)]}`}
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

/** How many positions are in which state, of those that this mode knows. */
function StateLegend({ rows }: { rows: ShownRows }): VNode {
  const { cached, counts } = rows;
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

/** A position in words. */
function described(rows: ShownRows, position: number): VNode {
  const key = rows.row("key", position);
  const range = key
    ? `K from ${Math.min(...key).toFixed(1)} to ${Math.max(...key).toFixed(1)}`.replaceAll("-", "−")
    : "";
  return (
    <>
      position {position} <b>{rows.wordAt(position)}</b>: {STATES[rows.stateOf(position)]}; {range}; gets{" "}
      <b>{(100 * (rows.weights[position] ?? 0)).toFixed(1)} %</b> of the newest token’s attention
    </>
  );
}

/** What the step says of its mode. */
function noteOn({ cached, room, counts, step: { largestChange } }: ShownRows): string {
  if (cached) return `The frame is the cache: room for ${room} positions, made once.`;
  if (counts.recomputed === 0) return "Nothing is kept: the next step will compute all of it again.";
  return largestChange < 1e-3
    ? `Computed again, and the same: no number changed by more than ${largestChange.toExponential(0)}.`
    : `Computed again, and not the same: a number changed by ${largestChange.toPrecision(2)}.`;
}
