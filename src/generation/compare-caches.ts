import type { CacheKind } from "../model/generation-cache.js";
import type { Model } from "../model/model.js";
import { largestDifference } from "./compare.js";
import type { StepOptions } from "./options.js";
import { argMax } from "./sampling.js";
import { type Step, steps } from "./steps.js";

/** A cache compared with the plain one, over all positions whose next token was predicted. */
export interface CacheComparison {
  /** Steps that both took. */
  readonly steps: number;
  /** Predictions that were compared, over all sequences. */
  readonly predictions: number;
  /** The largest difference between their logits in any step. */
  readonly maxLogitDifference: number;
  /** Mean Kullback-Leibler divergence of the cache's next-token distribution from the plain cache's, in nats. */
  readonly divergence: number;
  /** Share of predictions whose most likely token is the same. */
  readonly sameTop1: number;
  /** Perplexity of the text, exp of the mean negative log probability of its tokens, with either cache. */
  readonly perplexity: { readonly plain: number; readonly cache: number };
}

/**
 * Generates with the plain cache, and computes the same text with another kind of cache in lockstep; in graph mode, which
 * has one cache at a time, afterwards. Every step of the other cache gets the tokens that the plain one chose (teacher
 * forcing), so an early difference does not make all later positions incomparable.
 *
 * @throws what `steps` throws
 */
export async function compareCaches(
  model: Model,
  prompts: readonly (readonly number[])[],
  cacheKind: CacheKind,
  options: Omit<StepOptions, "useCache" | "cache" | "cacheKind" | "onLogits" | "sample">,
  onStep?: (step: Step) => void,
): Promise<CacheComparison> {
  let next: Step["next"] = [];
  const sameToken: StepOptions["sample"] = (_, sequence) => next[sequence]!.id;
  const run = (own: Partial<StepOptions>) =>
    withLogits((onLogits) => steps(model, prompts, { ...options, ...own, useCache: true, onLogits }));
  const inGraphMode = model.longestChunk !== undefined;
  const plain = inGraphMode ? await all(run({})) : run({});
  const cached = run({ cacheKind, sample: sameToken });
  let [taken, predictions, same, maxLogitDifference] = [0, 0, 0, 0];
  const sums = { divergence: 0, plain: 0, cache: 0 };
  try {
    for await (const { step, logits } of plain) {
      next = step.next;
      const { logits: other } = (await cached.next()).value as StepWithLogits;
      onStep?.(step);
      taken++;
      maxLogitDifference = Math.max(maxLogitDifference, largestDifference(logits, other));
      for (const [i, { id, source }] of next.entries()) {
        if (source === "padding") continue;
        const [p, q] = [logits[i]!, other[i]!].map(logProbabilities) as [Float64Array, Float64Array];
        sums.divergence += divergenceOf(p, q);
        sums.plain -= p[id]!;
        sums.cache -= q[id]!;
        if (argMax(logits[i]!) === argMax(other[i]!)) same++;
        predictions++;
      }
    }
  } finally {
    await cached.return();
  }
  const perplexity = {
    plain: Math.exp(sums.plain / predictions),
    cache: Math.exp(sums.cache / predictions),
  };
  const divergence = Math.max(0, sums.divergence / predictions); // rounding error can make it negative
  return {
    steps: taken,
    predictions,
    maxLogitDifference,
    divergence,
    sameTop1: same / predictions,
    perplexity,
  };
}

/** A step, and its logits, V for each sequence. */
interface StepWithLogits {
  readonly step: Step;
  readonly logits: readonly Float32Array[];
}

async function* withLogits(
  run: (onLogits: NonNullable<StepOptions["onLogits"]>) => AsyncGenerator<Step, void, void>,
): AsyncGenerator<StepWithLogits, void, void> {
  let logits: readonly Float32Array[] = [];
  for await (const step of run((latest) => void (logits = latest))) yield { step, logits };
}

async function all(given: AsyncIterable<StepWithLogits>): Promise<StepWithLogits[]> {
  const found: StepWithLogits[] = [];
  for await (const one of given) found.push(one);
  return found;
}

/**
 * Judges a cache as its kind promises: an exact one by tokens and logits, a lossy one by its divergence.
 *
 * @param bound     of the divergence, see `CacheKind.maxDivergence`; 0 for an exact cache
 * @param tolerance largest logit difference that rounding explains
 */
export const isAsPromised = (
  { divergence, sameTop1, maxLogitDifference }: CacheComparison,
  bound: number,
  tolerance: number,
): boolean => (bound > 0 ? divergence <= bound : sameTop1 === 1 && maxLogitDifference <= tolerance);

/** The KL divergence of one distribution of the next token, q, from another, p, in nats; both as `logProbabilities`. */
export const divergenceOf = (p: Float64Array, q: Float64Array): number =>
  p.reduce((sum, log, token) => sum + Math.exp(log) * (log - q[token]!), 0);

/** The logarithm of the softmax of one sequence's logits, V doubles. */
export function logProbabilities(logits: Float32Array): Float64Array {
  const max = logits[argMax(logits)]!;
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0);
  return Float64Array.from(logits, (logit) => logit - max - Math.log(total));
}
