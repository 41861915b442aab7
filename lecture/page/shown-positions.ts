import type { CapturedStep, VectorKind } from "../trace.js";
import type { App } from "./app.js";
import { capacityOf, type Run, stepOf } from "./run.js";
import { tokensBefore, visible } from "./tokens.js";
import type { VectorStore } from "./vector-store.js";

/** Origin of a position's key and value in a step. */
export type State = "computed" | "recomputed" | "reused";

/** Captions of the states. */
export const STATES: Readonly<Record<State, string>> = {
  computed: "computed for the first time",
  recomputed: "recomputed",
  reused: "read from the cache",
};

/** The positions that one mode's current step attends to, in the selected sequence, layer and head. */
export class ShownPositions {
  /** Attention weights of the newest position; empty if they were not captured. */
  readonly weights: Float32Array;
  /** Capacity of the cache in positions. */
  readonly capacity: number;
  private readonly store: VectorStore;
  /** The KV head that the selected query head uses. */
  private readonly kvHead: number;
  /** The first position that no earlier step computed. */
  private readonly newFrom: number;
  private readonly texts: readonly string[];

  private constructor(
    app: App,
    run: Run,
    readonly step: CapturedStep,
    readonly cached: boolean,
    private readonly view = app.view,
  ) {
    const { nHeads, nKvHeads } = run.header.config;
    this.capacity = capacityOf(run);
    this.store = cached ? run.cachedVectors : run.uncachedVectors;
    this.kvHead = Math.floor(view.head / (nHeads / nKvHeads));
    this.newFrom = app.pair?.cached?.prevPos ?? step.prevPos;
    this.texts = tokensBefore(app, cached, view.sequence, step.curPos).map((id) =>
      visible(run.tokenStrings[id]),
    );
    this.weights = this.vector("attention", step.curPos - 1) ?? new Float32Array();
  }

  /** The positions, or a sentence that says why there are none. */
  static of(app: App, cached: boolean): ShownPositions | string {
    const step = stepOf(app.pair, cached);
    if (!app.run) return "…";
    if (!step) return "This mode has ended.";
    return app.run.header.layers.includes(app.view.layer)
      ? new ShownPositions(app, app.run, step, cached)
      : "This trace has no keys and values: save it with --layers.";
  }

  /** Origin of a position's key and value in this step. */
  stateOf(position: number): State {
    if (position < this.step.prevPos) return "reused";
    return position < this.newFrom ? "recomputed" : "computed";
  }

  /** Number of positions in each state. */
  get counts(): Readonly<Record<State, number>> {
    const counts = { computed: 0, recomputed: 0, reused: 0 };
    for (let position = 0; position < this.step.curPos; position++) counts[this.stateOf(position)]++;
    return counts;
  }

  /** Text of a position's token. */
  textAt(position: number): string {
    return this.texts[position]!;
  }

  /** A position's key or value, [D], or its query's attention weights; undefined if they were not captured. */
  vector(kind: VectorKind, position: number): Float32Array | undefined {
    const { layer, sequence, step } = this.view;
    const head = kind === "attention" ? this.view.head : this.kvHead;
    return this.store.at({ kind, layer, sequence, head, position }, step);
  }

  /** Limit of the colour scale. */
  scale(kind: "key" | "value"): number {
    return this.store.scale(kind, this.view.layer, this.view.sequence, this.kvHead);
  }
}
