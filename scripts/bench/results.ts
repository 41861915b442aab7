import { createHash } from "node:crypto";
import { arithmeticIntensity, cacheBytes, stepSizes, weightBytes } from "../../src/cost/cost.js";
import type { Device } from "../../src/backend/backend.js";
import { generationCost, type ModelConfig, predictMemory } from "../../src/index.js";
import { machineFacts } from "../machine.js";
import { run } from "../../src/util/run-command.js";
import { spread } from "./measure.js";
import { activationBytes } from "../../src/cost/predicted-memory.js";
import {
  type BenchResults,
  type Cell,
  copiesIn,
  type CellSpec,
  EXECUTIONS,
  type FailedCell,
  type Pair,
} from "./case.js";
import type { Opened } from "./case-process.js";
import type { BenchOptions } from "./options.js";
import type { RunningCell } from "./running-case.js";
import { compareRuns } from "./verdict.js";

/** What became of some cells. */
export interface Outcome {
  readonly cells: readonly Cell[];
  readonly pairs: readonly Pair[];
  readonly failed: readonly FailedCell[];
}

/** Makes results of cells that were measured together. `rounding` is how far scores of both modes may be apart. */
export function outcomeOf(
  running: readonly RunningCell[],
  config: ModelConfig,
  rounding: number,
  device?: Device,
): Outcome {
  const pairs = EXECUTIONS.flatMap((execution) => {
    const find = (useCache: boolean) =>
      running.find(({ spec }) => spec.execution === execution && spec.useCache === useCache);
    return comparePair(find(true), find(false), config, rounding) ?? [];
  });
  const cells = running
    .filter(({ runs }) => runs.length > 0)
    .map((cell) => {
      const pair = pairs.find(({ execution }) => execution === cell.spec.execution);
      return summarize(cell, config, pair?.identical ?? null, device);
    });
  const failed = running.flatMap(({ spec, failure }) => (failure === undefined ? [] : { ...spec, reason: failure })); // prettier-ignore
  return { cells, pairs, failed };
}

/** What `--json` says of the circumstances, found out before anything is measured. */
export async function circumstances(
  command: readonly string[],
  { tf32 }: BenchOptions,
): Promise<Circumstances> {
  return {
    date: new Date().toISOString(),
    command,
    machine: await machineFacts(),
    dtype: "float32",
    tf32: tf32 === "on",
    ...(await currentCommit()),
  };
}

/** Everything but what was opened and what was measured. */
export type Circumstances = Omit<BenchResults, keyof Opened | keyof Outcome | "interrupted">;

/** The commit that is checked out, and whether what runs differs from it; null where there is no git. */
export async function currentCommit(): Promise<{ commit: string | null; changed: boolean | null }> {
  const commit = await run("git", ["rev-parse", "HEAD"]);
  if (!commit.ok) return { commit: null, changed: null };
  const program = ["src", "scripts", "package-lock.json"];
  const { stdout } = await run("git", ["status", "--porcelain", "--untracked-files=no", ...program]);
  return { commit: commit.stdout.trim(), changed: stdout !== "" };
}

/** Everything that is known of a cell after its runs. */
function summarize(
  { spec, runs, takingTurns }: RunningCell,
  config: ModelConfig,
  identical: boolean | null,
  device?: Device,
): Cell {
  const copies = copiesIn(spec.execution, device);
  const { useCache, batch, input, output } = spec;
  const { steps: _, weightBytes: asFloat32, ...others } = generationCost(config, batch, input, output, useCache); // prettier-ignore
  // Vectors stay float32, but are next to nothing of the weights.
  const cost = { ...others, weightBytes: spec.execution.includes("bf16") ? asFloat32 / 2 : asFloat32 };
  const seconds = spread(runs.map((one) => one.seconds));
  const firstTokenMs = spread(runs.map(({ stepMs }) => stepMs[0]!));
  const stepMs = spread(runs.flatMap(({ stepMs: all }) => all.slice(1)));
  const [first, last] = [runs[0]!, runs.at(-1)!];
  return {
    ...spec,
    takingTurns,
    seconds,
    firstTokenMs,
    stepMs,
    tokensPerSecond: (batch * output) / seconds.median,
    decodeTokensPerSecond: (1000 * batch) / stepMs.median,
    prefillTokensPerSecond: (1000 * batch * input) / firstTokenMs.median,
    memory: {
      predicted: sum(predictMemory(config, { batch, input, output, useCache, copies })),
      liveTensorPeak: first.liveTensorBytes.length > 0 ? Math.max(...first.liveTensorBytes) : null,
      process: last.memory.process,
      device: last.memory.device,
      cache: {
        predicted: useCache ? cacheBytes(config, batch, input + output) : 0,
        measured: last.memory.cache,
      },
      byStep: { predicted: predictedByStep(config, spec, copies), liveTensorPeak: first.liveTensorBytes },
    },
    cost: { ...cost, arithmeticIntensity: arithmeticIntensity(cost) },
    tokensSha256: createHash("sha256").update(JSON.stringify(first.tokens)).digest("hex"),
    identical,
  };
}

/** Compares the modes of one execution; undefined where one of them has no whole run. */
function comparePair(
  cached: RunningCell | undefined,
  uncached: RunningCell | undefined,
  config: ModelConfig,
  rounding: number,
): Pair | undefined {
  if (!cached?.runs.length || !uncached?.runs.length) return undefined;
  const { execution, batch, input, output } = cached.spec;
  const times = Math.min(cached.runs.length, uncached.runs.length);
  const [fast, slow] = [true, false].map((useCache) =>
    generationCost(config, batch, input, output, useCache),
  );
  return {
    execution,
    batch,
    input,
    output,
    ...compareRuns(cached, uncached, input, execution.includes("bf16") ? Infinity : rounding),
    speedUp: spread(
      Array.from({ length: times }, (_, i) => uncached.runs[i]!.seconds / cached.runs[i]!.seconds),
    ),
    predictedSpeedUp: slow!.flops / fast!.flops,
  };
}

/** Weights, cache and intermediate results at the peak of every step. */
function predictedByStep(
  config: ModelConfig,
  { useCache, batch, input, output }: CellSpec,
  copies: number,
): number[] {
  const held = copies * weightBytes(config) + (useCache ? cacheBytes(config, batch, input + output) : 0);
  return stepSizes(input, output, useCache).map(
    ([T, S]) => held + activationBytes(config, batch, T, S, useCache),
  );
}

const sum = (parts: object): number =>
  Object.values(parts as Record<string, number>).reduce((a, b) => a + b, 0);
