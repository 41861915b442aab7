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
 * Generates with the plain cache, and computes the same text with another kind of cache in lockstep. Every step of the
 * other cache gets the tokens that the plain one chose (teacher forcing), so an early difference does not make all later
 * positions incomparable.
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
  let step: Step | undefined;
  const sameToken: StepOptions["sample"] = (_, sequence) => step!.next[sequence]!.id;
  const logits: Record<"plain" | "cache", readonly Float32Array[]> = { plain: [], cache: [] };
  const run = (which: keyof typeof logits, own: Partial<StepOptions>) => {
    const onLogits = (latest: readonly Float32Array[]) => void (logits[which] = latest);
    return steps(model, prompts, { ...options, ...own, useCache: true, onLogits });
  };
  const [plain, cached] = [run("plain", {}), run("cache", { cacheKind, sample: sameToken })];
  let [taken, predictions, same, maxLogitDifference] = [0, 0, 0, 0];
  const sums = { divergence: 0, plain: 0, cache: 0 };
  try {
    for (; (step = (await plain.next()).value ?? undefined); taken++) {
      await cached.next();
      onStep?.(step);
      maxLogitDifference = Math.max(maxLogitDifference, largestDifference(logits.plain, logits.cache));
      for (const [i, { id, source }] of step.next.entries()) {
        if (source === "padding") continue;
        const [p, q] = [logits.plain[i]!, logits.cache[i]!].map(logProbabilities) as [
          Float64Array,
          Float64Array,
        ];
        sums.divergence += p.reduce((sum, log, token) => sum + Math.exp(log) * (log - q[token]!), 0);
        sums.plain -= p[id]!;
        sums.cache -= q[id]!;
        if (argMax(logits.plain[i]!) === argMax(logits.cache[i]!)) same++;
        predictions++;
      }
    }
  } finally {
    await plain.return();
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

/** The logarithm of the softmax, in doubles. */
function logProbabilities(logits: Float32Array): Float64Array {
  const max = logits[argMax(logits)]!;
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0);
  return Float64Array.from(logits, (logit) => logit - max - Math.log(total));
}
