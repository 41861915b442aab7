import { Component, type VNode } from "preact";
import { type App, modeName, stepOf } from "./app.js";
import { CodeButton } from "./code-panel.js";
import { heat } from "./colours.js";
import type { RowKind } from "../trace.js";
import type { RowStore } from "./row-store.js";
import { Picture, type Sheet } from "./picture.js";
import { tokensBefore, visible } from "./tokens.js";

const HEIGHT = 420;
const HEADS = 22; // pixels above the lines, for the columns' names
const GAP = 10;
const LABELS_FROM = 12; // pixels a row, from which on it has room for its token

interface Props {
  readonly app: App;
  readonly cached: boolean;
}

/** Lines that a picture has for so many positions: twice as many whenever they are full, in the same height. */
export function linesFor(positions: number, room: number): number {
  let lines = 32;
  while (lines < positions) lines *= 2;
  return Math.min(lines, room);
}

/** What a row of the picture is in this step. */
type State = "computed" | "recomputed" | "reused";

const STATES: Readonly<Record<State, string>> = {
  computed: "computed for the first time",
  recomputed: "computed again",
  reused: "read from the cache",
};

/**
 * One mode's attention in one layer and head: a line a position, its key, how much the newest token takes of it, and its
 * value, so that K, the weights and V can be read across.
 */
export class ModePanel extends Component<Props, { position: number | undefined }> {
  override state = { position: undefined as number | undefined };

  /** Positions that the cache has room for. */
  private get room(): number {
    const { prompts, maxGenLen } = this.props.app.run!.head;
    return Math.max(...prompts.map(({ ids }) => ids.length)) + maxGenLen;
  }

  private get lines(): number {
    return linesFor(stepOf(this.props.app.turn, this.props.cached)!.curPos, this.room);
  }

  private get height(): number {
    return Math.min(HEIGHT, this.room * 18);
  }

  private get lineHeight(): number {
    return this.height / this.lines;
  }

  private stateOf(position: number): State {
    const { app, cached } = this.props;
    const step = stepOf(app.turn, cached)!;
    const newFrom = app.turn?.cached?.prevPos ?? step.prevPos;
    if (position < step.prevPos) return "reused";
    return position < newFrom ? "recomputed" : "computed";
  }

  private get store(): RowStore {
    const { cachedRows, uncachedRows } = this.props.app.run!;
    return this.props.cached ? cachedRows : uncachedRows;
  }

  /** The key/value head that the chosen query head reads. */
  private get kvHead(): number {
    const { nHeads, nKvHeads } = this.props.app.run!.head.config;
    return Math.floor(this.props.app.view.head / (nHeads / nKvHeads));
  }

  private scale(kind: "key" | "value"): number {
    const { layer, row } = this.props.app.view;
    return this.store.scale(kind, layer, row, this.kvHead);
  }

  private row(kind: RowKind, position: number): Float32Array | undefined {
    const { head, layer, row, step } = this.props.app.view;
    const own = kind === "attention" ? head : this.kvHead;
    return this.store.at({ kind, layer, row, head: own, position }, step)?.values;
  }

  private columns(width: number) {
    const gutter = this.lineHeight >= LABELS_FROM ? Math.min(110, width * 0.26) : 16;
    const weights = Math.min(100, width * 0.22);
    const each = (width - gutter - weights - 3 * GAP) / 2;
    const keys = gutter + GAP;
    return {
      gutter,
      keys,
      each,
      weights,
      attention: keys + each + GAP,
      values: keys + each + weights + 2 * GAP,
    };
  }

  private draw = (sheet: Sheet): void => {
    const { app, cached } = this.props;
    const { context, width } = sheet;
    const step = stepOf(app.turn, cached);
    if (!step) return;
    const place = this.columns(width);
    const high = this.lineHeight;
    const scales = { key: this.scale("key"), value: this.scale("value") };
    const weights = this.row("attention", step.curPos - 1) ?? new Float32Array();
    const most = Math.max(...weights, 1e-9);
    const words = tokensBefore(app, cached, app.view.row, step.curPos);

    context.fillStyle = sheet.soft;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "top";
    context.fillText("K, keys", place.keys, 2);
    context.fillText("attention", place.attention, 2);
    context.fillText("V, values", place.values, 2);
    context.translate(0, HEADS);
    if (cached) {
      context.strokeStyle = sheet.faint;
      context.setLineDash([3, 3]);
      for (const x of [place.keys, place.values]) {
        context.strokeRect(x + 0.5, 0.5, place.each - 1, this.room * high - 1); // what is beyond the edge is room too
      }
      context.setLineDash([]);
    }
    for (let position = 0; position < step.curPos; position++) {
      const y = position * high;
      const state = this.stateOf(position);
      drawMark(sheet, state, place.gutter - 12, y, high);
      if (high >= LABELS_FROM) {
        context.fillStyle = sheet.ink;
        context.font = `${Math.min(12, high - 3)}px ui-monospace, monospace`;
        context.textBaseline = "middle";
        context.save();
        context.beginPath();
        context.rect(0, y, place.gutter - 16, high);
        context.clip();
        context.fillText(visible(app.run!.words[words[position]!]), 0, y + high / 2);
        context.restore();
      }
      for (const [kind, x] of [
        ["key", place.keys],
        ["value", place.values],
      ] as const) {
        const values = this.row(kind, position) ?? [];
        for (const [i, value] of values.entries()) {
          const [from, to] = [
            x + (i * place.each) / values.length,
            x + ((i + 1) * place.each) / values.length,
          ];
          context.fillStyle = `rgb(${heat(value / scales[kind], sheet).join()})`;
          context.fillRect(from, y, to - from + 0.4, high - (high > 5 ? 1 : 0));
        }
      }
      context.fillStyle = sheet.ink;
      const weight = weights[position] ?? 0;
      context.fillRect(
        place.attention,
        y + high * 0.15,
        (weight / most) * place.weights,
        Math.max(1, high * 0.7),
      );
    }
    const marked = this.marked(step.curPos);
    context.strokeStyle = sheet.ink;
    context.lineWidth = 1.5;
    context.strokeRect(
      place.gutter + 2,
      marked * high - 0.5,
      width - place.gutter - 3,
      Math.max(high, 4) + 1,
    );
    context.lineWidth = 1;
  };

  private marked(curPos: number): number {
    return Math.min(this.state.position ?? curPos - 1, curPos - 1);
  }

  private describe(position: number): VNode {
    const { app, cached } = this.props;
    const step = stepOf(app.turn, cached)!;
    const word = app.run!.words[tokensBefore(app, cached, app.view.row, step.curPos)[position]!];
    const weights = this.row("attention", step.curPos - 1);
    const key = this.row("key", position);
    const range = key
      ? `K from ${Math.min(...key).toFixed(1)} to ${Math.max(...key).toFixed(1)}`.replaceAll("-", "−")
      : "";
    return (
      <>
        position {position} <b>{visible(word)}</b>: {STATES[this.stateOf(position)]}; {range}; gets{" "}
        <b>{(100 * (weights?.[position] ?? 0)).toFixed(1)} %</b> of the newest token’s attention
      </>
    );
  }

  override render({ app, cached }: Props): VNode {
    const step = stepOf(app.turn, cached);
    const name = cached ? "cached" : "uncached";
    const recorded = app.run?.head.layers.includes(app.view.layer);
    if (!app.run || !step || !recorded) {
      const why = !app.run
        ? "…"
        : !step
          ? "This mode has ended."
          : "Keys and values are not in this trace: record it with --layers.";
      return (
        <section class={`panel ${name}`} data-mode={name}>
          <h3>{modeName(cached)}</h3>
          <p>{why}</p>
        </section>
      );
    }
    const { curPos, prevPos } = step;
    const scale = (kind: "key" | "value") => this.scale(kind).toFixed(1);
    const counts = { computed: 0, recomputed: 0, reused: 0 };
    for (let position = 0; position < curPos; position++) counts[this.stateOf(position)]++;
    const move = (by: number) =>
      this.setState({ position: Math.max(0, Math.min(curPos - 1, this.marked(curPos) + by)) });
    const onKeyDown = (event: KeyboardEvent): void => {
      const all = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -curPos, End: curPos };
      const by = all[event.key as keyof typeof all];
      if (by === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      move(by);
    };
    return (
      <section class={`panel ${name}`} data-mode={name}>
        <h3>
          {modeName(cached)}{" "}
          <small>
            feeds {prevPos}:{curPos}
          </small>
        </h3>
        <p class="legend states">
          {(Object.keys(STATES) as State[])
            .filter((state) => state !== (cached ? "recomputed" : "reused"))
            .map((state) => (
              <span key={state}>
                <i class={`mark ${state}`} aria-hidden="true" /> <b data-test={state}>{counts[state]}</b>{" "}
                {STATES[state]}
              </span>
            ))}
        </p>
        <div
          class="picture"
          role="slider"
          tabIndex={0}
          aria-label={`${modeName(cached)}: position looked at`}
          aria-orientation="vertical"
          aria-valuemin={0}
          aria-valuemax={curPos - 1}
          aria-valuenow={this.marked(curPos)}
          aria-valuetext={`position ${this.marked(curPos)}, ${STATES[this.stateOf(this.marked(curPos))]}`}
          onKeyDown={onKeyDown}
        >
          <Picture
            height={() => this.height + HEADS}
            draw={this.draw}
            onPoint={(_, y) =>
              this.setState({
                position: Math.max(0, Math.min(curPos - 1, Math.floor((y - HEADS) / this.lineHeight))),
              })
            }
          />
        </div>
        <p class="legend">
          <span>
            <i class="ramp" aria-hidden="true" /> colours: K from −{scale("key")} to {scale("key")}, V from −
            {scale("value")} to {scale("value")}
          </span>
        </p>
        <p class="inspector">{this.describe(this.marked(curPos))}</p>
        <p class="note">
          {cached
            ? `The frame is the cache: room for ${this.room} positions, made once.`
            : counts.recomputed > 0
              ? step.largestChange < 1e-3
                ? `Computed again, and the same: no number changed by more than ${step.largestChange.toExponential(0)}.`
                : `Computed again, and not the same: a number changed by ${step.largestChange.toPrecision(2)}.`
              : "Nothing is kept: the next step will compute all of it again."}
        </p>
        <p class="links">
          <CodeButton app={app} id="newKeys" />
          <CodeButton app={app} id={cached ? "append" : "switch"} />
          <CodeButton app={app} id="scores" />
        </p>
      </section>
    );
  }
}

/** Told apart by shape as well as by colour: filled, striped, or a thin line. */
function drawMark({ context, fresh, past }: Sheet, state: State, x: number, y: number, high: number): void {
  const tall = Math.max(1, high - (high > 3 ? 1 : 0));
  if (state === "computed") {
    context.fillStyle = fresh;
    context.fillRect(x, y, 10, tall);
  } else if (state === "recomputed") {
    context.fillStyle = fresh;
    for (let i = 0; i < 3; i++) context.fillRect(x + 4 * i, y, 2, tall);
  } else {
    context.fillStyle = past;
    context.fillRect(x + 4, y, 2, high);
  }
}
