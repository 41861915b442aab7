import type { Model } from "../model/model.js";
import type { Probe } from "../model/probe.js";
import { type Step, type StepOptions, steps } from "./steps.js";

/** Where the two modes first chose differently. */
export interface Difference {
  readonly row: number;
  readonly position: number;
  /** The token chosen with the cache, and how far its mode's best score is above the second best. */
  readonly cached: { readonly id: number; readonly gap: number };
  /** The same without the cache. */
  readonly uncached: { readonly id: number; readonly gap: number };
}

/**
 * Scores of the two modes that differ by more than this differ by more than rounding. In float32 they agree to some
 * 0.0001; bugs in the cache shift them by tenths and more, also where no greedy token changes.
 */
export const ROUNDING = 0.01;

/** The verdict on one generation run in both modes, step by step. */
export interface Comparison {
  /** Steps that both modes took; the last is the one with the difference, if there is one. */
  readonly steps: number;
  /** Tokens that the model chose, over all rows. */
  readonly tokens: number;
  /** Undefined when every token is the same. */
  readonly difference: Difference | undefined;
  /** The largest difference of any score in any step. */
  readonly maxLogitDifference: number;
}

/**
 * Generates with and without the cache in lockstep, and looks at more than the tokens: greedy tokens agree by luck
 * where scores are far apart, so the scores themselves are compared too. They agree to float32 rounding, since a sum
 * over T rows is not added up in the same order as a sum over one. It stops at the first difference, because from
 * there on the modes continue different texts.
 *
 * @throws what `steps` throws
 */
export async function compareModes(
  model: Model,
  prompts: readonly (readonly number[])[],
  options: Omit<StepOptions, "useCache" | "cache" | "probe">,
  onStep?: (cached: Step, uncached: Step) => void,
): Promise<Comparison> {
  const cached = new Mode(model, prompts, { ...options, useCache: true });
  const uncached = new Mode(model, prompts, { ...options, useCache: false });
  let taken = 0;
  let tokens = 0;
  let maxLogitDifference = 0;
  let difference: Difference | undefined;
  try {
    while (!difference) {
      const a = await cached.step();
      const b = await uncached.step();
      if (!a || !b) break;
      onStep?.(a, b);
      taken++;
      tokens += a.next.filter((token) => token.source === "model").length;
      maxLogitDifference = Math.max(maxLogitDifference, largestDifference(cached.logits, uncached.logits));
      const row = a.next.findIndex((token, i) => token.id !== b.next[i]!.id);
      if (row >= 0) {
        difference = {
          row,
          position: a.curPos,
          cached: cached.choice(a, row),
          uncached: uncached.choice(b, row),
        };
      }
    }
  } finally {
    await cached.end();
    await uncached.end();
  }
  return { steps: taken, tokens, difference, maxLogitDifference };
}

/** One mode's run, with the scores of its latest step. */
class Mode {
  /** [B, V], flat */
  logits: Float32Array = new Float32Array();
  private readonly run: AsyncGenerator<Step, void, void>;

  constructor(model: Model, prompts: readonly (readonly number[])[], options: StepOptions) {
    const probe: Probe = (name, _, tensor) => {
      if (name === "logits") this.logits = tensor.dataSync<"float32">();
    };
    this.run = steps(model, prompts, {
      ...options,
      probe: Object.assign(probe, { only: ["logits"] as const }),
    });
  }

  async step(): Promise<Step | undefined> {
    return (await this.run.next()).value ?? undefined;
  }

  choice(step: Step, row: number): { id: number; gap: number } {
    const V = this.logits.length / step.next.length;
    const scores = this.logits.subarray(row * V, (row + 1) * V).toSorted();
    return { id: step.next[row]!.id, gap: scores[V - 1]! - scores[V - 2]! };
  }

  async end(): Promise<void> {
    await this.run.return();
  }
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}
