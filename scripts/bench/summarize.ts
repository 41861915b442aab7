import { createHash } from "node:crypto";
import type { Device } from "../../src/backend/backend.js";
import { arithmeticIntensity, cacheBytes, stepSizes, weightBytes } from "../../src/cost/cost.js";
import { activationBytes, weightCopies } from "../../src/cost/predicted-memory.js";
import { generationCost, type ModelConfig, predictMemory } from "../../src/index.js";
import { type CaseSpec, EXECUTIONS, type Execution, isBfloat16 } from "./case.js";
import { spread } from "./measure.js";
import type { RunningCase } from "./running-case.js";
import type { Case, CaseResults, Pair } from "./schema.js";

/** The results of some cases. */
export type Outcome = Pick<CaseResults, "cases" | "pairs" | "failed">;

/** The number of float32 copies of the weights that are held in memory. */
export const copiesIn = (execution: Execution, device: Device | undefined): number =>
  weightCopies(execution !== "eager", device, isBfloat16(execution));

/** Makes results of cases that were measured together; `rounding` is the largest difference of logits. */
export function outcomeOf(
  running: readonly RunningCase[],
  config: ModelConfig,
  rounding: number,
  device?: Device,
): Outcome {
  const pairs = EXECUTIONS.flatMap((execution) => {
    const [cached, uncached] = [true, false].map((useCache) =>
      running.find(
        ({ spec, runs }) => spec.execution === execution && spec.useCache === useCache && runs.length > 0,
      ),
    );
    return cached && uncached ? [comparePair(cached, uncached, config, rounding)] : [];
  });
  const cases = running
    .filter(({ runs }) => runs.length > 0)
    .map((one) => {
      const pair = pairs.find(({ execution }) => execution === one.spec.execution);
      return summarize(one, config, pair?.identical ?? null, device);
    });
  const failed = running.flatMap(({ spec, failure }) =>
    failure === undefined ? [] : [{ ...spec, reason: failure }],
  );
  return { cases, pairs, failed };
}

/** Everything that is known of a case after its runs. */
function summarize(
  { spec, runs, interleaved }: RunningCase,
  config: ModelConfig,
  identical: boolean | null,
  device?: Device,
): Case {
  const { useCache, batch, input, output, execution } = spec;
  const copies = copiesIn(execution, device);
  const {
    steps: _,
    weightBytes: float32,
    ...others
  } = generationCost(config, batch, input, output, useCache);
  // Norms stay float32, but are a negligible part of the weights.
  const cost = { ...others, weightBytes: isBfloat16(execution) ? float32 / 2 : float32 };
  const seconds = spread(runs.map((one) => one.seconds));
  const firstTokenMs = spread(runs.map(({ stepMs }) => stepMs[0]!));
  const stepMs = spread(runs.flatMap(({ stepMs: all }) => all.slice(1)));
  const [first, last] = [runs[0]!, runs.at(-1)!];
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
      predicted: peak.weights + peak.cache + peak.activations,
      liveTensorPeak: first.liveTensorBytes.length > 0 ? Math.max(...first.liveTensorBytes) : null,
      process: last.memory.process,
      device: last.memory.device,
      cache: { predicted: peak.cache, measured: last.memory.cache },
      byStep: {
        predicted: predictedByStep(config, spec, copies),
        liveTensorPeak: [...first.liveTensorBytes],
      },
    },
    cost: { ...cost, arithmeticIntensity: arithmeticIntensity(cost) },
    tokensSha256: createHash("sha256").update(JSON.stringify(first.tokens)).digest("hex"),
    identical,
  };
}

/** Compares both modes: the tokens of all runs, and what `compareModes` found. */
function comparePair(
  cached: RunningCase,
  uncached: RunningCase,
  config: ModelConfig,
  rounding: number,
): Pair {
  const { useCache: _, ...pair } = cached.spec;
  const flops = (useCache: boolean) =>
    generationCost(config, pair.batch, pair.input, pair.output, useCache).flops;
  const times = Math.min(cached.runs.length, uncached.runs.length);
  const ratios = Array.from(
    { length: times },
    (__, i) => uncached.runs[i]!.seconds / cached.runs[i]!.seconds,
  );
  const difference = differenceOf(cached, uncached, isBfloat16(pair.execution) ? Infinity : rounding);
  return {
    ...pair,
    identical: difference === null,
    maxLogitDifference: cached.comparison?.maxLogitDifference ?? null,
    difference,
    speedUp: spread(ratios),
    predictedSpeedUp: flops(false) / flops(true),
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
  return stepSizes(input, output, useCache).map(
    ([T, S]) => held + activationBytes(config, batch, T, S, useCache),
  );
}
