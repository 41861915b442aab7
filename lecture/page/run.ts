import type { CapturedStep, StepPair, TraceHeader } from "../trace.js";
import { VectorStore } from "./vector-store.js";
import type { View } from "./view.js";

/** The part of a generation that has arrived at the page. */
export interface Run {
  readonly header: TraceHeader;
  /** Text of the token ids. */
  readonly tokenStrings: Record<string, string>;
  readonly steps: StepPair[];
  readonly cachedVectors: VectorStore;
  readonly uncachedVectors: VectorStore;
  /** True if no more steps follow. */
  ended: boolean;
}

/** A generation without steps. */
export function newRun(header: TraceHeader, tokenStrings: Record<string, string>): Run {
  return {
    header,
    tokenStrings,
    steps: [],
    cachedVectors: new VectorStore(),
    uncachedVectors: new VectorStore(),
    ended: false,
  };
}

/** Adds the next step and its vectors. */
export function addStep(run: Run, pair: StepPair): void {
  run.steps.push(pair);
  if (pair.cached) run.cachedVectors.add(pair.cached);
  if (pair.uncached) run.uncachedVectors.add(pair.uncached);
}

/** Number of steps, assuming that no sequence stops early. */
export function lengthOf(run: Run): number {
  const shortest = Math.min(...run.header.prompts.map(({ ids }) => ids.length));
  return run.ended ? run.steps.length : capacityOf(run) - shortest;
}

/** Capacity of the KV cache in positions: the longest prompt and the tokens to generate. */
export function capacityOf({ header: { prompts, maxGenLen } }: Run): number {
  return Math.max(...prompts.map(({ ids }) => ids.length)) + maxGenLen;
}

/** The view with its indices limited to what this model and batch have. */
export function within(run: Run, view: View): View {
  const { config, prompts, layers } = run.header;
  const { layer, head, sequence, step } = view;
  const known = layers.length === 0 || layers.includes(layer) ? layer : layers[0]!;
  return {
    ...view,
    layer: Math.min(known, config.nLayers - 1),
    head: Math.min(head, config.nHeads - 1),
    sequence: Math.min(sequence, prompts.length - 1),
    step: Math.min(step, lengthOf(run)),
  };
}

/** Name of a mode on the page. */
export const modeName = (cached: boolean): string => (cached ? "With the KV cache" : "Without the cache");

/** One mode's step of a pair. */
export const stepOf = (pair: StepPair | undefined, cached: boolean): CapturedStep | undefined =>
  cached ? pair?.cached : pair?.uncached;
