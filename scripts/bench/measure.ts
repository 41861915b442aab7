import { GraphLlama } from "../../src/index.js";
import * as tf from "@tensorflow/tfjs-core";
import { steps } from "../../src/generation/steps.js";
import type { Model } from "../../src/model/model.js";
import type { Probe } from "../../src/model/probe.js";

/** What one generation took. */
export interface Measurement {
  /** All steps together. */
  readonly seconds: number;
  /** Of every step, in milliseconds; the first one feeds the prompt. */
  readonly stepMs: readonly number[];
  /**
   * In every step, the largest number of bytes that tensors had at one time, the model's weights included. Empty for a
   * recorded model, whose tensors are TensorFlow's own.
   */
  readonly liveTensorBytes: readonly number[];
  /** The chosen ids, one list a row. */
  readonly tokens: readonly (readonly number[])[];
}

/** What to generate, and what to be told of it. */
export interface MeasureOptions {
  readonly maxGenLen: number;
  readonly useCache: boolean;
  readonly signal?: AbortSignal;
  /** Called between steps, while no clock runs, with how many are done. */
  readonly onStep?: (done: number) => void;
  /** Receives each step's logits, V for each sequence; in graph mode the times then include copying them to the host. */
  readonly onLogits?: ((logits: readonly Float32Array[]) => void) | undefined;
}

const GREEDY = { temperature: 0, topP: 1, seed: 0, stopIds: new Set<number>() };

/**
 * Generates greedily and to the full length, whatever the model says, and measures it. A step ends when its choice has
 * come back from the device, so what a card still computes is inside the time.
 *
 * @param prompts of equal length
 * @throws what `steps` throws
 */
export async function measureGeneration(
  model: Model,
  prompts: readonly (readonly number[])[],
  { onStep, onLogits, ...options }: MeasureOptions,
): Promise<Measurement> {
  let peak = 0;
  const stepMs: number[] = [];
  const liveTensorBytes: number[] = [];
  const tokens: number[][] = prompts.map(() => []);

  const eager = !(model instanceof GraphLlama); // in graph mode, activations never leave the graph
  const probe: Probe = () => (peak = Math.max(peak, tf.memory().numBytes));
  const run = steps(model, prompts, { ...options, ...GREEDY, onLogits, ...(eager && { probe }) });
  let started = performance.now();
  for await (const { next } of run) {
    stepMs.push(performance.now() - started);
    if (eager) liveTensorBytes.push(peak);
    peak = 0;
    for (const [i, { id }] of next.entries()) tokens[i]!.push(id);
    onStep?.(stepMs.length);
    started = performance.now();
  }
  return { seconds: stepMs.reduce((sum, ms) => sum + ms, 0) / 1000, stepMs, liveTensorBytes, tokens };
}

/** The middle one of some numbers, and how far they spread. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: readonly number[];
}

/** @param samples at least one */
export function spread(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, samples };
}
