import { createHash } from "node:crypto";
import type { Backend, Device } from "../../src/backend/backend.js";
import { arithmeticIntensity, cacheBytes, stepSizes, weightBytes } from "../../src/cost/cost.js";
import { activationBytes, weightCopies } from "../../src/cost/predicted-memory.js";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { generationCost, type ModelConfig, predictMemory } from "../../src/index.js";
import { type CaseSpec, type Execution, isBfloat16, samePair } from "./case.js";
import { spread } from "./measure.js";
import type { RunningCase } from "./running-case.js";
import type { Case, CaseResults, Pair } from "./schema.js";

/** The results of some cases. */
export type Outcome = Pick<CaseResults, "cases" | "pairs" | "failed">;

/** The conditions under which cases were measured together. */
interface Conditions {
  readonly config: ModelConfig;
  readonly backend: Backend;
  readonly tf32: boolean;
  /** True if their runs alternated. */
  readonly interleaved: boolean;
}

/** The number of float32 copies of the weights that are held in memory. */
export const copiesIn = (execution: Execution, device: Device): number =>
  weightCopies(execution !== "eager", device, isBfloat16(execution));

/** Makes results of cases that were measured together. */
export function outcomeOf(running: readonly RunningCase[], conditions: Conditions): Outcome {
  const measured = running.filter(({ runs }) => runs.length > 0);
  const pairs = measured.flatMap((cached) => {
    const uncached = measured.find(({ spec }) => !spec.useCache && samePair(spec, cached.spec));
    return cached.spec.useCache && uncached ? [comparePair(cached, uncached, conditions)] : [];
  });
  const cases = measured.map((one) => {
    const pair = pairs.find((other) => samePair(other, one.spec));
    return summarize(one, pair?.identical ?? null, conditions);
  });
  const failed = running.flatMap(({ spec, failure }) => (failure ? [{ ...spec, reason: failure }] : []));
  return { cases, pairs, failed };
}

/** Everything that is known of a case after its runs. */
function summarize(
  { spec, runs }: RunningCase,
  identical: boolean | null,
  { config, backend, interleaved }: Conditions,
): Case {
  const { useCache, batch, input, output, execution } = spec;
  const copies = copiesIn(execution, backend.device);
  const { steps: _, ...cost } = generationCost(config, batch, input, output, useCache);
  if (isBfloat16(execution)) cost.weightBytes /= 2; // norms stay float32, but are a negligible part
  const seconds = spread(runs.map((one) => one.seconds));
  const firstTokenMs = spread(runs.map(({ stepMs }) => stepMs[0]!));
  const stepMs = spread(runs.flatMap(({ stepMs: all }) => all.slice(1)));
  const { liveTensorBytes, tokens } = runs[0]!;
  const { cache: measuredCache, ...memory } = runs.at(-1)!.memory;
  const peak = predictMemory(config, { batch, input, output, useCache, copies });
  return {
    ...spec,
    interleaved,
    seconds,
    firstTokenMs,
    stepMs,
    tokensPerSecond: (batch * output) / seconds.median,
    decodeTokensPerSecond: (1000 * batch) / stepMs.median,
    prefillTokensPerSecond: (1000 * batch * input) / firstTokenMs.median,
    memory: {
      ...memory,
      predicted: peak.weights + peak.cache + peak.activations,
      liveTensorPeak: liveTensorBytes.length > 0 ? Math.max(...liveTensorBytes) : null,
      cache: { predicted: peak.cache, measured: measuredCache },
      byStep: { predicted: predictedByStep(config, spec, copies), liveTensorPeak: [...liveTensorBytes] },
    },
    cost: { ...cost, arithmeticIntensity: arithmeticIntensity(cost) },
    tokensSha256: createHash("sha256").update(JSON.stringify(tokens)).digest("hex"),
    identical,
  };
}

/** Compares both modes: the tokens of all runs, and what `compareModes` found. */
function comparePair(cached: RunningCase, uncached: RunningCase, { config, tf32 }: Conditions): Pair {
  const { useCache: _, ...pair } = cached.spec;
  const [fast, slow] = [true, false].map((useCache) =>
    generationCost(config, pair.batch, pair.input, pair.output, useCache),
  );
  const both = cached.runs.slice(0, uncached.runs.length);
  const exact = !tf32 && !isBfloat16(pair.execution); // else rounding is far larger, and only the tokens are compared
  const difference = differenceOf(cached, uncached, exact ? LOGIT_TOLERANCE : Infinity);
  return {
    ...pair,
    identical: difference === null,
    maxLogitDifference: cached.comparison?.maxLogitDifference ?? null,
    difference,
    speedUp: spread(both.map(({ seconds }, run) => uncached.runs[run]!.seconds / seconds)),
    predictedSpeedUp: slow!.flops / fast!.flops,
  };
}

function differenceOf(cached: RunningCase, uncached: RunningCase, rounding: number): string | null {
  const { difference, maxLogitDifference = 0 } = cached.comparison ?? {};
  if (difference) {
    const token = (mode: "cached" | "uncached") =>
      `token ${difference[mode].id} (logit margin ${difference[mode].margin.toPrecision(2)})`;
    const where = `sequence ${difference.sequence}, position ${difference.position}`;
    return `${where}: ${token("cached")} with the cache, ${token("uncached")} without`;
  }
  if (maxLogitDifference > rounding) {
    return `logits differ by ${maxLogitDifference.toPrecision(2)}, rounding explains ${rounding}; equal tokens are luck`;
  }
  const runs = [...cached.runs, ...uncached.runs].map(({ tokens }) => JSON.stringify(tokens));
  return new Set(runs).size > 1 ? "not all runs of both modes chose the same tokens" : null;
}

/** Weights, cache and activations at the peak of every step. */
function predictedByStep(
  config: ModelConfig,
  { useCache, batch, input, output }: CaseSpec,
  copies: number,
): number[] {
  const held = copies * weightBytes(config) + (useCache ? cacheBytes(config, batch, input + output) : 0);
  const sizes = stepSizes(input, output, useCache);
  return sizes.map(([T, S]) => held + activationBytes(config, batch, T, S, useCache));
}
