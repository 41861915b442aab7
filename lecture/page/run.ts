import type { RecordedStep, TraceHead, Turn } from "../trace.js";
import { RowStore } from "./row-store.js";
import type { View } from "./view.js";

/** A generation as far as the page knows it. */
export interface Run {
  readonly head: TraceHead;
  /** The texts of the token ids. */
  readonly words: Record<string, string>;
  readonly turns: Turn[];
  readonly cachedRows: RowStore;
  readonly uncachedRows: RowStore;
  /** No turn follows the last. */
  ended: boolean;
}

/** A generation without a turn yet. */
export function newRun(head: TraceHead, words: Record<string, string>): Run {
  return { head, words, turns: [], cachedRows: new RowStore(), uncachedRows: new RowStore(), ended: false };
}

/** Adds the next turn, and its rows. */
export function addTurn(run: Run, turn: Turn): void {
  run.turns.push(turn);
  if (turn.cached) run.cachedRows.add(turn.cached);
  if (turn.uncached) run.uncachedRows.add(turn.uncached);
}

/** How many turns there will be, if no row stops early. */
export function lengthOf({ head, turns, ended }: Run): number {
  const lengths = head.prompts.map(({ ids }) => ids.length);
  return ended ? turns.length : Math.max(...lengths) + head.maxGenLen - Math.min(...lengths);
}

/** The view with its numbers within what this model and batch have. */
export function within(run: Run, view: View): View {
  const { config, prompts, layers } = run.head;
  const { layer, head, row, step } = view;
  const known = layers.length === 0 || layers.includes(layer) ? layer : layers[0]!;
  return {
    ...view,
    layer: Math.min(known, config.nLayers - 1),
    head: Math.min(head, config.nHeads - 1),
    row: Math.min(row, prompts.length - 1),
    step: Math.min(step, lengthOf(run)),
  };
}

/** A mode's name on the page. */
export const modeName = (cached: boolean): string => (cached ? "With the KV cache" : "Without");

/** The step of one mode on show. */
export const stepOf = (turn: Turn | undefined, cached: boolean): RecordedStep | undefined =>
  cached ? turn?.cached : turn?.uncached;
