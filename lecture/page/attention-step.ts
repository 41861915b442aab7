import type { CapturedStep, VectorKind } from "../trace.js";
import type { App } from "./app.js";

/** One position of the shown step's attention. */
export interface AttendedPosition {
  readonly position: number;
  readonly id: number;
  readonly key: Float32Array | undefined;
  readonly value: Float32Array | undefined;
  /** q · k / √D; undefined if the query was not captured. */
  readonly score: number | undefined;
  /** softmax of the scores, as the model computed it. */
  readonly weight: number;
}

/** The newest position's attention in one head of one layer, with the cache. */
export interface AttentionStep {
  readonly step: CapturedStep;
  readonly query: Float32Array | undefined;
  readonly positions: readonly AttendedPosition[];
  /** Sum of the values, weighted. */
  readonly output: Float32Array;
  readonly scale: (kind: "key" | "value") => number;
}

/** Attention of the shown step, in the selected sequence, layer and head; or a sentence that says why there is none. */
export function attentionStep(app: App, ids: readonly number[]): AttentionStep | string {
  const { run, pair, view } = app;
  const step = pair?.cached;
  if (!run) return "…";
  if (!step) return "The mode with the cache has ended.";
  const { layer, sequence } = view;
  if (!run.header.layers.includes(layer)) return "This trace has no keys and values: save it with --layers.";
  const { nHeads, nKvHeads, headDim } = run.header.config;
  const kvHead = Math.floor(view.head / (nHeads / nKvHeads));
  const vector = (kind: VectorKind, position: number) => {
    const head = kind === "key" || kind === "value" ? kvHead : view.head;
    return run.cachedVectors.at({ kind, layer, sequence, head, position }, view.step);
  };
  const last = step.curPos - 1;
  const query = vector("query", last);
  const weights = vector("attention", last);
  const output = new Float32Array(headDim);
  const positions = Array.from({ length: step.curPos }, (_, position) => {
    const [key, value] = [vector("key", position), vector("value", position)];
    const weight = weights?.[position] ?? 0;
    value?.forEach((number, i) => (output[i]! += weight * number));
    const score = query && key && query.reduce((sum, q, i) => sum + q * key[i]!, 0) / Math.sqrt(headDim);
    return { position, id: ids[position]!, key, value, score, weight };
  });
  const scale = (kind: "key" | "value") => run.cachedVectors.scale(kind, layer, sequence, kvHead);
  return { step, query, positions, output, scale };
}
