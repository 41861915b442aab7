import type { Model } from "../model/model.js";
import type { StepOptions } from "./options.js";
import { type Step, steps } from "./steps.js";

/** A token that one mode chose, and the difference between its two largest logits. */
export interface Choice {
  readonly id: number;
  readonly margin: number;
}

/** The first position at which the two modes chose different tokens. */
export interface Difference {
  readonly sequence: number;
  readonly position: number;
  readonly cached: Choice;
  readonly uncached: Choice;
}

/**
 * Largest logit difference that rounding explains. In float32 the modes agree to about 0.0001; bugs in the cache shift
 * logits by 0.1 and more, even where no greedy token changes.
 */
export const LOGIT_TOLERANCE = 0.01;

/** Result of one generation run in both modes. */
export interface Comparison {
  /** Steps that both modes took; the last is the one with the difference, if there is one. */
  readonly steps: number;
  /** Tokens that the model generated, over all sequences. */
  readonly tokens: number;
  /** Undefined when all tokens are identical. */
  readonly difference: Difference | undefined;
  /** The largest difference between the modes' logits in any step. */
  readonly maxLogitDifference: number;
}

/**
 * Generates with and without the cache in lockstep and compares tokens and logits. Identical tokens alone prove little:
 * a greedy token changes only if an error exceeds the logit margin. Logits agree to float32 rounding, because a matmul
 * with T rows does not add up in the same order as one with a single row. The comparison stops at the first different
 * token, since the modes continue different texts from there. Graph mode's logits are copied to the host for this, and
 * the argmax is taken there.
 *
 * @throws what `steps` throws
 */
export async function compareModes(
  model: Model,
  prompts: readonly (readonly number[])[],
  options: Omit<StepOptions, "useCache" | "cache" | "onLogits">,
  onStep?: (cached: Step, uncached: Step) => void,
): Promise<Comparison> {
  const logits: Record<"cached" | "uncached", readonly Float32Array[]> = { cached: [], uncached: [] };
  const run = (mode: keyof typeof logits) => {
    const onLogits = (latest: readonly Float32Array[]) => void (logits[mode] = latest);
    return steps(model, prompts, { ...options, useCache: mode === "cached", onLogits });
  };
  const [cached, uncached] = [run("cached"), run("uncached")];
  let taken = 0;
  let tokens = 0;
  let maxLogitDifference = 0;
  let difference: Difference | undefined;
  try {
    while (!difference) {
      const [a, b] = [(await cached.next()).value, (await uncached.next()).value];
      if (!a || !b) break;
      onStep?.(a, b);
      taken++;
      tokens += a.next.filter(({ source }) => source === "model").length;
      maxLogitDifference = Math.max(maxLogitDifference, largestDifference(logits.cached, logits.uncached));
      const sequence = a.next.findIndex(({ id }, i) => id !== b.next[i]!.id);
      if (sequence < 0) continue;
      const choice = (step: Step, values: Float32Array): Choice => {
        const sorted = values.toSorted();
        return { id: step.next[sequence]!.id, margin: sorted.at(-1)! - sorted.at(-2)! };
      };
      const choices = {
        cached: choice(a, logits.cached[sequence]!),
        uncached: choice(b, logits.uncached[sequence]!),
      };
      difference = { sequence, position: a.curPos, ...choices };
    }
  } finally {
    await cached.return();
    await uncached.return();
  }
  return { steps: taken, tokens, difference, maxLogitDifference };
}

/** The largest difference between the logits of two runs. */
export function largestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let largest = 0;
  for (const [i, logits] of a.entries()) {
    const others = b[i]!;
    for (let id = 0; id < logits.length; id++)
      largest = Math.max(largest, Math.abs(logits[id]! - others[id]!));
  }
  return largest;
}
