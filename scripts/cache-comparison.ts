import { compareCaches, isAsPromised } from "../src/generation/compare-caches.js";
import type { StepOptions } from "../src/generation/options.js";
import type { Model, Step } from "../src/index.js";
import type { CacheKind } from "../src/model/generation-cache.js";
import { clearProgress, verdict } from "./terminal.js";

/**
 * Compares a cache with the plain one and prints the result. An exact cache is judged by tokens and logits, a lossy one
 * by its KL divergence.
 *
 * @returns true if the cache is as good as its kind promises
 */
export async function compareWithPlain(
  model: Model,
  prompts: readonly (readonly number[])[],
  { cacheKind, ...options }: Omit<StepOptions, "useCache"> & { readonly cacheKind: CacheKind },
  {
    tolerance,
    title,
    onStep,
  }: { readonly tolerance: number; readonly title: string; readonly onStep: (step: Step) => void },
): Promise<boolean> {
  const compared = await compareCaches(model, prompts, cacheKind, options, onStep);
  clearProgress();
  const { steps, predictions, maxLogitDifference, divergence, sameTop1, perplexity } = compared;
  const positions = Math.max(...prompts.map(({ length }) => length)) + options.maxGenLen;
  const bound = cacheKind.maxDivergence(model.config, positions);
  const exact = bound === 0;
  const good = isAsPromised(compared, bound, tolerance);
  const words = exact
    ? ["different from the plain cache", "identical to the plain cache"]
    : ["beyond its bound", "within its bound"];

  console.log(title);
  const kind = `${cacheKind.name}, ${exact ? "EXACT" : "LOSSY"}`;
  console.log(
    `${kind}: ${verdict(good, words[Number(good)]!)}, ${predictions} predictions in ${steps} steps`,
  );
  const limit = exact ? `, tolerance ${tolerance}` : "";
  console.log(
    `  largest logit difference: ${maxLogitDifference && maxLogitDifference.toPrecision(2)}${limit}`,
  );
  if (exact && good) return good;
  console.log(
    `  KL divergence: ${divergence.toPrecision(2)} nats per token${exact ? "" : `, bound ${bound}`}`,
  );
  console.log(`  same most likely token: ${(100 * sameTop1).toFixed(1)} %`);
  const [plain, cache] = [perplexity.plain, perplexity.cache].map((value) => value.toFixed(3));
  console.log(`  perplexity: ${plain} with the plain cache, ${cache} with this one`);
  return good;
}
