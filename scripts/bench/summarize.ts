import { createHash } from "node:crypto";
import type { Device } from "../../src/backend/backend.js";
import { arithmeticIntensity, cacheBytes, stepSizes, weightBytes } from "../../src/cost/cost.js";
import { weightCopies } from "../../src/cost/predicted-memory.js";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { LONGEST_CHUNK } from "../../src/graph/call-sizes.js";
import { generationCost, type ModelConfig, predictMemory } from "../../src/index.js";
import { type CaseSpec, type Execution, isBfloat16, samePair } from "./case.js";
import { spread } from "./measure.js";
import type { Case, CaseResults, Pair } from "./results.js";
import type { RunningCase } from "./running-case.js";

/** The results of some cases. */
export type Outcome = Pick<CaseResults, "cases" | "pairs" | "failed">;

/** The conditions under which cases were measured together. */
interface Conditions {
  readonly config: ModelConfig;
  readonly tf32: boolean;
  readonly device: Device;
  /** False for random weights. */
  readonly fromFile: boolean;
  /** True if their runs alternated. */
  readonly interleaved: boolean;
}

/** The weights' factor of `weightCopies`. */
export const copiesIn = (execution: Execution, fromFile: boolean, device: Device): number =>
  weightCopies(execution !== "eager", isBfloat16(execution), fromFile, device);

/** Makes results of cases that were measured together. */
export function outcomeOf(running: readonly RunningCase[], conditions: Conditions): Outcome {
  const measured = running.filter(({ runs }) => runs.length > 0);
  const pairs = measured.flatMap((cached) => {
    const uncached = measured.find(({ spec }) => !spec.useCache && samePair(spec, cached.spec));
    return cached.spec.useCache && uncached ? [comparePair(cached, uncached, conditions)] : [];
  });
  const failed = running.flatMap(({ spec, failure }) => (failure ? [{ ...spec, reason: failure }] : []));
  return { cases: measured.map((one) => summarize(one, conditions)), pairs, failed };
}

/** Everything that is known of a case after its runs. */
function summarize({ spec, runs }: RunningCase, { config, device, fromFile, interleaved }: Conditions): Case {
  const { useCache, batch, input, output, execution } = spec;
  const { steps: _, ...cost } = generationCost(config, batch, input, output, useCache);
  if (isBfloat16(execution)) cost.weightBytes /= 2; // norms stay float32, but are a negligible part
  const { liveTensorBytes, tokens } = runs[0]!;
  const cache = useCache ? cacheBytes(config, batch, input + output) : 0;
  const held = copiesIn(execution, fromFile, device) * weightBytes(config) + cache;
  const longestChunk = execution === "eager" ? undefined : LONGEST_CHUNK;
  const predictedByStep = stepSizes(input, output, useCache).map(([T, S]) => {
    const capacity = input + output;
    const step = { batch, input: T, output: 1, useCache, past: S - T, capacity, longestChunk };
    return held + predictMemory(config, step).activations;
  });
  return {
    ...spec,
    interleaved,
    seconds: spread(runs.map(({ seconds }) => seconds)),
    firstTokenMs: spread(runs.map(({ stepMs }) => stepMs[0]!)),
    stepMs: spread(runs.flatMap(({ stepMs }) => stepMs.slice(1))),
    memory: {
      ...runs.at(-1)!.memory,
      predicted: Math.max(...predictedByStep),
      liveTensorPeak: liveTensorBytes.length > 0 ? Math.max(...liveTensorBytes) : null,
      byStep: { predicted: predictedByStep, liveTensorPeak: liveTensorBytes },
    },
    cost: { ...cost, arithmeticIntensity: arithmeticIntensity(cost) },
    tokensSha256: createHash("sha256").update(JSON.stringify(tokens)).digest("hex"),
  };
}

/** Compares both modes: the tokens of all runs, and what `compareModes` found. */
function comparePair(cached: RunningCase, uncached: RunningCase, { config, tf32 }: Conditions): Pair {
  const { useCache: _, ...pair } = cached.spec;
  const flops = ({ batch, input, output, useCache }: CaseSpec) =>
    generationCost(config, batch, input, output, useCache).flops;
  const both = cached.runs.slice(0, uncached.runs.length);
  const exact = !tf32 && !isBfloat16(pair.execution); // else rounding is far larger, and only the tokens are compared
  const difference = differenceOf(cached, uncached, exact ? LOGIT_TOLERANCE : Infinity);
  return {
    ...pair,
    identical: difference === null,
    maxLogitDifference: cached.comparison?.maxLogitDifference ?? null,
    difference,
    speedUp: spread(both.map(({ seconds }, run) => uncached.runs[run]!.seconds / seconds)),
    predictedSpeedUp: flops(uncached.spec) / flops(cached.spec),
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
