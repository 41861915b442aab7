import gpuFile from "../../fixtures/results/h200-llama-3.2-1b.json" with { type: "json" };
import wasm from "../../fixtures/results/roofline-wasm.json" with { type: "json" };
import type { Gpu } from "../../scripts/bench/gpu-tables.js";
import { arithmeticIntensity, generationCost, type StepCost, stepCost } from "../../src/cost/cost.js";
import { PRESETS } from "../../src/model/presets.js";

/** A measured step on the roofline. */
export interface RooflinePoint {
  readonly kind: "prefill" | "cached" | "uncached";
  readonly batch: number;
  /** FLOPs per byte of weights and cache. */
  readonly intensity: number;
  /** FLOPs per second. */
  readonly rate: number;
}

/** A machine's limits and the steps that were measured on it. */
export interface Machine {
  readonly name: string;
  /** FLOPs per second. */
  readonly peak: number;
  /** Bytes per second. */
  readonly bandwidth: number;
  readonly points: readonly RooflinePoint[];
}

const gpu = gpuFile as unknown as Gpu;
const INPUT = 256;
const OUTPUT = 32;
const HALFWAY = INPUT + OUTPUT / 2;
const LLAMA = PRESETS["llama-3.2-1b"]!;
const SMOL = PRESETS["smollm2-135m"]!;

const point = (kind: RooflinePoint["kind"], batch: number, cost: StepCost, ms: number): RooflinePoint => ({
  kind,
  batch,
  intensity: arithmeticIntensity(cost),
  rate: (1000 * cost.flops) / ms,
});

/** XLA-compiled cases with TF32, by batch size and mode. */
const compiled = gpu.benches
  .filter(({ tf32 }) => tf32)
  .flatMap(({ cases }) => cases)
  .filter(({ execution, input, output }) => execution === "xla" && input === INPUT && output === OUTPUT);

const caseOf = (batch: number, useCache: boolean) =>
  compiled.find((one) => one.batch === batch && one.useCache === useCache)!;

/** Batch sizes that were measured in both modes. */
export const BATCHES = [1, 8, 16] as const;

/**
 * NVIDIA's data sheet of the H200 gives 989 TFLOP/s for TF32 with sparsity, half of it without, and 4.8 TB/s. A cached step
 * is counted halfway through the output.
 */
const H200: Machine = {
  name: "H200 GPU",
  peak: 989e12 / 2,
  bandwidth: 4.8e12,
  points: BATCHES.flatMap((batch) => {
    const [cached, uncached] = [caseOf(batch, true), caseOf(batch, false)];
    return [
      point("prefill", batch, stepCost(LLAMA, batch, INPUT, INPUT, true), cached.firstTokenMs.median),
      point("cached", batch, stepCost(LLAMA, batch, 1, HALFWAY, true), cached.stepMs.median),
      point("uncached", batch, stepCost(LLAMA, batch, HALFWAY, HALFWAY, false), uncached.stepMs.median),
    ];
  }),
};

const prefill = stepCost(SMOL, 1, INPUT, INPUT, true);

/** One CPU thread running WebAssembly: the limits were measured, with the matmuls alone and with reading the weights. */
const WASM: Machine = {
  name: "One CPU core",
  peak: (1000 * prefill.flops) / wasm.prefillMs.matmuls.median,
  bandwidth: (1000 * wasm.weightBytes) / wasm.stepMs.weightRead.median,
  points: [
    point("prefill", 1, prefill, wasm.prefillMs.measured.median),
    point("cached", 1, stepCost(SMOL, 1, 1, INPUT + 1, true), wasm.stepMs.measured.median),
  ],
};

/** FLOPs per byte of one kind of step on the H200. */
export const intensityOf = (kind: RooflinePoint["kind"], batch: number): number =>
  H200.points.find((one) => one.kind === kind && one.batch === batch)!.intensity;

/** Both machines. */
export const MACHINES: readonly Machine[] = [H200, WASM];

/** Time without the cache divided by the time with it, on the H200. */
export const gpuSpeedUp = (batch: number): number =>
  caseOf(batch, false).seconds.median / caseOf(batch, true).seconds.median;

/** Seconds of a generation on the H200. */
export const gpuSeconds = (batch: number, useCache: boolean): number =>
  caseOf(batch, useCache).seconds.median;

/** Operations without the cache divided by those with it; almost the same at every batch size. */
export function savedOperations(): number {
  const flops = (useCache: boolean) => generationCost(LLAMA, 1, INPUT, OUTPUT, useCache).flops;
  return flops(false) / flops(true);
}
