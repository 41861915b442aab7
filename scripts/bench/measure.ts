import * as tf from "@tensorflow/tfjs-core";
import { steps } from "../../src/generation/steps.js";
import { GraphLlama } from "../../src/graph/graph-llama.js";
import type { Model } from "../../src/model/model.js";
import type { Probe } from "../../src/model/probe.js";
import type { Spread } from "./results.js";

/** Greedy decoding to the full length, whatever the model says. */
export const GREEDY = { temperature: 0, topP: 1, seed: 0, stopIds: new Set<number>() };

/**
 * Generates greedily and measures it. A step ends when its choice has come back from the device, so the GPU's work is
 * inside the time.
 *
 * @param prompts of equal length
 * @param shared  gives the steps of a graph-mode model the same time; else a decode block's time is its first step's
 * @returns the time of all steps and of each (the first is the prefill), and the ids chosen for each sequence
 * @throws what `steps` throws
 */
export async function measureGeneration(
  model: Model,
  prompts: readonly (readonly number[])[],
  options: { readonly maxGenLen: number; readonly useCache: boolean },
  shared = true,
) {
  let peak = 0;
  const stepMs: number[] = [];
  const liveTensorBytes: number[] = []; // at the peak of each step; none in graph mode, whose tensors are TensorFlow's
  const tokens: number[][] = prompts.map(() => []);

  const eager = !(model instanceof GraphLlama); // in graph mode, a probe would copy activations out of the graph
  const probe: Probe = () => (peak = Math.max(peak, tf.memory().numBytes));
  const run = steps(model, prompts, { ...options, ...GREEDY, ...(eager && { probe }) });
  let started = performance.now();
  for await (const { next } of run) {
    stepMs.push(performance.now() - started);
    if (eager) liveTensorBytes.push(peak);
    peak = 0;
    for (const [sequence, { id }] of next.entries()) tokens[sequence]!.push(id);
    started = performance.now();
  }
  if (shared && !eager && options.useCache) shareEvenly(stepMs);
  return { seconds: stepMs.reduce((sum, ms) => sum + ms, 0) / 1000, stepMs, liveTensorBytes, tokens };
}

/** Gives all decode steps the same time: those of a decode block are computed in one call, and come at once. */
function shareEvenly(stepMs: number[]): void {
  const [prefill = 0, ...rest] = stepMs;
  stepMs.fill(rest.reduce((sum, ms) => sum + ms, 0) / rest.length, 1);
  stepMs[0] = prefill;
}

/** Milliseconds of CPU time of this process, which other programs on the machine do not lengthen. */
export async function cpuTime(run: () => Promise<void>): Promise<number> {
  const started = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1000;
}

/** The prompts of all cases, different for each sequence, so that mixed-up sequences would show. */
export const benchPrompts = (batch: number, input: number, vocabSize: number): number[][] =>
  Array.from({ length: batch }, (_, sequence) =>
    Array.from({ length: input }, (__, i) => (7919 * i + 104_729 * sequence + 1) % vocabSize),
  );

/** The median of at least one sample, and how far they spread. */
export function spread(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, samples: [...samples] };
}
