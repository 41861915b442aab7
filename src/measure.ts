import * as tf from "@tensorflow/tfjs-core";
import { steps } from "./generation/steps.js";
import type { Model } from "./model/model.js";

/** What one generation took. */
export interface Measurement {
  /** From the first step's beginning to the last one's end. */
  readonly seconds: number;
  /** Of every step, in milliseconds; the first one feeds the prompt. */
  readonly stepMs: readonly number[];
  /** The largest number of bytes that tensors had at one time, the model's weights included. */
  readonly liveTensorPeak: number;
  /** The chosen ids, one list a row. */
  readonly tokens: readonly (readonly number[])[];
}

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
  options: { readonly maxGenLen: number; readonly kvCaching: boolean; readonly signal?: AbortSignal },
): Promise<Measurement> {
  let liveTensorPeak = 0;
  const probe = () => (liveTensorPeak = Math.max(liveTensorPeak, tf.memory().numBytes));
  const greedy = { temperature: 0, topP: 1, seed: 0, stopIds: new Set<number>() };
  const stepMs: number[] = [];
  const tokens: number[][] = prompts.map(() => []);

  const started = performance.now();
  let last = started;
  for await (const { next } of steps(model, prompts, { ...greedy, ...options, probe })) {
    for (const [row, { id }] of next.entries()) tokens[row]!.push(id);
    const now = performance.now();
    stepMs.push(now - last);
    last = now;
  }
  return { seconds: (last - started) / 1000, stepMs, liveTensorPeak, tokens };
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
