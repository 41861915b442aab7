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
      tokens += a.next.filter(({ source }) => source === "model").length;
      maxLogitDifference = Math.max(maxLogitDifference, largestDifference(cached.logits, uncached.logits));
      const sequence = a.next.findIndex(({ id }, i) => id !== b.next[i]!.id);
      if (sequence < 0) continue;
      const [first, second] = [cached.choice(a, sequence), uncached.choice(b, sequence)];
      difference = { sequence, position: a.curPos, cached: first, uncached: second };
    }
  } finally {
    await cached.end();
    await uncached.end();
  }
  return { steps: taken, tokens, difference, maxLogitDifference };
}

/** The generation of one mode, with the logits of its latest step. */
class Mode {
  logits: readonly Float32Array[] = [];
  private readonly run: AsyncGenerator<Step, void, void>;

  constructor(model: Model, prompts: readonly (readonly number[])[], options: StepOptions) {
    this.run = steps(model, prompts, { ...options, onLogits: (logits) => void (this.logits = logits) });
  }

  async step(): Promise<Step | undefined> {
    return (await this.run.next()).value ?? undefined;
  }

  choice(step: Step, sequence: number): Choice {
    const sorted = this.logits[sequence]!.toSorted();
    return { id: step.next[sequence]!.id, margin: sorted.at(-1)! - sorted.at(-2)! };
  }

  async end(): Promise<void> {
    await this.run.return();
  }
}

function largestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let largest = 0;
  for (const [i, logits] of a.entries()) {
    const others = b[i]!;
    for (let id = 0; id < logits.length; id++)
      largest = Math.max(largest, Math.abs(logits[id]! - others[id]!));
  }
  return largest;
}
