import type { RecordedStep, RowKind } from "../trace.js";
import type { App } from "./app.js";
import type { RowStore } from "./row-store.js";
import { type Run, stepOf } from "./run.js";
import { tokensBefore, visible } from "./tokens.js";

/** What a position's row is in a step. */
export type State = "computed" | "recomputed" | "reused";

/** States in words. */
export const STATES: Readonly<Record<State, string>> = {
  computed: "computed for the first time",
  recomputed: "computed again",
  reused: "read from the cache",
};

/** What one mode's step on show attends to, position by position, in the row, layer and head on show. */
export class ShownRows {
  /** How much of each position the newest token takes; empty where that is not recorded. */
  readonly weights: Float32Array;
  /** Positions that the cache has room for. */
  readonly room: number;
  private readonly store: RowStore;
  /** The key/value head that the chosen query head reads. */
  private readonly kvHead: number;
  /** The first position that no step before has computed. */
  private readonly newFrom: number;
  private readonly words: readonly string[];

  private constructor(
    app: App,
    run: Run,
    readonly step: RecordedStep,
    readonly cached: boolean,
    private readonly view = app.view,
  ) {
    const { prompts, maxGenLen, config } = run.head;
    this.room = Math.max(...prompts.map(({ ids }) => ids.length)) + maxGenLen;
    this.store = cached ? run.cachedRows : run.uncachedRows;
    this.kvHead = Math.floor(view.head / (config.nHeads / config.nKvHeads));
    this.newFrom = app.turn?.cached?.prevPos ?? step.prevPos;
    this.words = tokensBefore(app, cached, view.row, step.curPos).map((id) => visible(run.words[id]));
    this.weights = this.row("attention", step.curPos - 1) ?? new Float32Array();
  }

  /** The rows; or, where there are none, why. */
  static of(app: App, cached: boolean): ShownRows | string {
    const step = stepOf(app.turn, cached);
    if (!app.run) return "…";
    if (!step) return "This mode has ended.";
    const recorded = app.run.head.layers.includes(app.view.layer);
    return recorded
      ? new ShownRows(app, app.run, step, cached)
      : "Keys and values are not in this trace: record it with --layers.";
  }

  /** What became of a position's key and value in this step. */
  stateOf(position: number): State {
    if (position < this.step.prevPos) return "reused";
    return position < this.newFrom ? "recomputed" : "computed";
  }

  /** How many positions are in each state. */
  get counts(): Readonly<Record<State, number>> {
    const counts = { computed: 0, recomputed: 0, reused: 0 };
    for (let position = 0; position < this.step.curPos; position++) counts[this.stateOf(position)]++;
    return counts;
  }

  /** A position's token, as text. */
  wordAt(position: number): string {
    return this.words[position]!;
  }

  /** A position's key or value [D], or its query's weights; undefined where it is not recorded. */
  row(kind: RowKind, position: number): Float32Array | undefined {
    const { layer, row, step } = this.view;
    const head = kind === "attention" ? this.view.head : this.kvHead;
    return this.store.at({ kind, layer, row, head, position }, step)?.values;
  }

  /** What the ends of the colour scale stand for. */
  scale(kind: "key" | "value"): number {
    return this.store.scale(kind, this.view.layer, this.view.row, this.kvHead);
  }
}
