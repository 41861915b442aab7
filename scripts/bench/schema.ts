import * as v from "valibot";
import type { Machine } from "../machine.js";
import { EXECUTIONS } from "./case.js";

// The results files, validated when they are read. Times are in the unit of their name, sizes in bytes.

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const size = v.pipe(v.number(), v.integer(), v.minValue(1));
const positive = v.pipe(v.number(), v.gtValue(0));
const bytes = v.pipe(v.number(), v.minValue(0)); // not whole where weights are held one and a half times

const spreadSchema = v.strictObject({
  median: v.number(),
  min: v.number(),
  max: v.number(),
  samples: v.pipe(v.array(v.number()), v.minLength(1)),
});

const backendSchema = v.strictObject({
  name: v.picklist(["tensorflow", "wasm", "cpu"]),
  device: v.picklist(["cpu", "cuda"]),
  description: v.string(),
});

/** What is relied on of `machineFacts`. */
const machineSchema = v.looseObject({
  platform: v.string(),
  arch: v.string(),
  node: v.string(),
  tfjs: v.string(),
  cpu: v.object({ model: v.string(), cores: size }),
  memory: v.object({ totalBytes: count, availableBytes: count }),
  nvidia: v.nullable(v.looseObject({ gpus: v.array(v.looseObject({ name: v.string() })) })),
  tensorflow: v.nullable(v.looseObject({})),
});

/** The header of every results file. */
const provenance = {
  date: v.pipe(v.string(), v.isoTimestamp()),
  /** The options, without those that name files. */
  command: v.array(v.string()),
  /** Null without git. */
  commit: v.nullable(v.string()),
  /** Whether the program differed from that commit. */
  changed: v.nullable(v.boolean()),
  machine: v.custom<Machine>((input) => v.is(machineSchema, input), "Expected the facts about a machine"),
  backends: v.tupleWithRest([backendSchema], backendSchema),
  /** Null where no model is run. */
  model: v.nullable(v.string()),
  /** Of everything but the weights of a case whose execution ends in bf16. */
  dtype: v.literal("float32"),
  tf32: v.boolean(),
  /** Of other programs that took part. */
  versions: v.optional(v.record(v.string(), v.string())),
  note: v.optional(v.string()),
};
const header = <Name extends string>(study: Name) => ({ study: v.literal(study), ...provenance });

const pairEntries = { execution: v.picklist(EXECUTIONS), batch: size, input: size, output: size };
const specEntries = { useCache: v.boolean(), ...pairEntries };

const caseSchema = v.strictObject({
  ...specEntries,
  /** Whether its runs alternated with those of the other mode and executions. */
  interleaved: v.boolean(),
  /** Of whole generations; one sample per run. */
  seconds: spreadSchema,
  /** Time to first token: the prefill. */
  firstTokenMs: spreadSchema,
  /** Of decode steps: the first run's in the order of positions, then the second's, and so on. */
  stepMs: spreadSchema,
  /** batch * output / seconds.median */
  tokensPerSecond: positive,
  /** Per second: batch / stepMs.median, and batch * input / firstTokenMs.median. */
  decodeTokensPerSecond: positive,
  prefillTokensPerSecond: positive,
  memory: v.strictObject({
    /** Weights (as often as they are held), cache and activations at the peak, from the configuration alone. */
    predicted: bytes,
    /** Null in graph mode, whose tensors are TensorFlow's own. */
    liveTensorPeak: v.nullable(count),
    /** The process at its peak. */
    process: count,
    /** GPU memory in use after the runs, by any process; null without a GPU. */
    device: v.nullable(count),
    /** Keys and values; not measured in graph mode. */
    cache: v.strictObject({ predicted: count, measured: v.nullable(count) }),
    /** In every step of the first run. */
    byStep: v.strictObject({ predicted: v.array(bytes), liveTensorPeak: v.array(count) }),
  }),
  /** From the configuration alone: see src/cost/cost.ts. */
  cost: v.strictObject({
    flops: count,
    weightBytes: bytes,
    cacheBytesRead: count,
    cacheBytesWritten: count,
    kvPairsComputed: count,
    kvPairsReused: count,
    kvPairsRecomputed: count,
    arithmeticIntensity: positive,
  }),
  /** Of the chosen ids as JSON, so that cases of different files can be compared. */
  tokensSha256: v.pipe(v.string(), v.regex(/^[\da-f]{64}$/)),
  /** Whether both modes chose the same tokens in every run, with logits equal to rounding; null for one mode alone. */
  identical: v.nullable(v.boolean()),
});

/** Both modes of a case, compared. */
const pairSchema = v.strictObject({
  ...pairEntries,
  identical: v.boolean(),
  /** The largest difference of any logit, up to the first different token; null where memory had no capacity for both. */
  maxLogitDifference: v.nullable(v.pipe(v.number(), v.minValue(0))),
  /** Where the modes first differ; null where they do not. */
  difference: v.nullable(v.string()),
  /** Time without the cache divided by time with it, run by run. */
  speedUp: spreadSchema,
  /** The ratio of their FLOPs. */
  predictedSpeedUp: positive,
});

const failedSchema = v.strictObject({ ...specEntries, reason: v.string() });

export const casesSchema = v.strictObject({
  ...header("cases"),
  /** Whether it was ended before the last case. */
  interrupted: v.boolean(),
  cases: v.array(caseSchema),
  pairs: v.array(pairSchema),
  failed: v.array(failedSchema),
});

const rooflineSchema = v.strictObject({
  ...header("roofline"),
  batch: size,
  input: size,
  /** Of the weights that a step reads. */
  weightBytes: count,
  prefillMs: v.strictObject({ measured: spreadSchema, matmuls: spreadSchema }),
  /** A decode step, its matmuls with the weights alone, and one thread's reading of as many bytes. */
  stepMs: v.strictObject({ measured: spreadSchema, matmuls: spreadSchema, weightRead: spreadSchema }),
});

const hostTimeSchema = v.strictObject({
  ...header("host-time"),
  batch: size,
  /** Positions in the cache before the step. */
  past: size,
  execution: v.picklist(EXECUTIONS),
  /** Missing in older files. */
  traceMs: v.optional(v.number()),
  firstStepMs: v.optional(v.number()),
  operations: positive,
  /** Per step, and the host's time for each, which is not known in graph mode. */
  operationsByName: v.record(
    v.string(),
    v.strictObject({ times: positive, microseconds: v.optional(v.number()) }),
  ),
  hostMs: spreadSchema,
  /** Measured on a GPU, eagerly; else null. */
  deviceMs: v.nullable(spreadSchema),
  latencyMs: spreadSchema,
  /** Per step, where no step waits for the one before it. */
  pipelinedMs: positive,
});

const leaksSchema = v.strictObject({
  ...header("leaks"),
  batch: size,
  samples: v.array(v.strictObject({ steps: size, tensors: count, tensorBytes: count, processBytes: count })),
});

const cacheWriteSchema = v.strictObject({
  ...header("cache-write"),
  /** Of one layer's keys: KV heads of all sequences, positions, numbers per head. */
  sizes: v.strictObject({ heads: size, capacity: size, headDim: size }),
  cases: v.array(
    v.strictObject({
      backend: backendSchema.entries.name,
      strategy: v.string(),
      /** Positions after the write. */
      length: size,
      writeMicroseconds: spreadSchema,
      /** With the slice of all positions that attention reads. */
      writeAndReadMicroseconds: spreadSchema,
      /** New memory that each takes. */
      writeBytes: count,
      writeAndReadBytes: count,
    }),
  ),
});

export const gpuSchema = v.strictObject({
  ...header("gpu"),
  /** For each TF32 setting and sitting. */
  benches: v.array(casesSchema),
  hostTime: v.array(hostTimeSchema),
  /** What gave no results, and why. */
  failed: v.array(v.string()),
  tests: v.optional(v.unknown()),
});

const baselineEntries = {
  useCache: v.boolean(),
  batch: size,
  input: size,
  output: size,
  seconds: positive,
  firstTokenMs: positive,
  stepMs: positive,
  samples: v.pipe(v.array(positive), v.minLength(1)),
  tokensSha256: v.string(),
};

const baselinesSchema = v.strictObject({
  ...header("baselines"),
  threads: size,
  /** By each program; times are medians. `sameEachRound`: whether every round chose the tokens of the first. */
  cases: v.array(v.strictObject({ by: v.string(), ...baselineEntries, sameEachRound: v.boolean() })),
});

/** What scripts/bench/baselines/transformers_baseline.py writes. */
export const transformersSchema = v.strictObject({
  study: v.literal("transformers"),
  date: v.pipe(v.string(), v.isoTimestamp()),
  device: v.string(),
  torch: v.string(),
  transformers: v.string(),
  model: v.string(),
  cases: v.array(
    v.strictObject({
      ...baselineEntries,
      attention: v.string(),
      dtype: v.string(),
      tf32: v.picklist(["on", "off"]),
      peakBytes: v.nullable(count),
    }),
  ),
});

/** Every results file, by its study. */
export const resultsSchema = v.variant("study", [
  casesSchema,
  rooflineSchema,
  hostTimeSchema,
  leaksSchema,
  cacheWriteSchema,
  gpuSchema,
  baselinesSchema,
  transformersSchema,
]);

/** The middle sample, and how far they spread. */
export type Spread = Readonly<v.InferOutput<typeof spreadSchema>>;
export type Provenance = v.InferOutput<v.StrictObjectSchema<typeof provenance, undefined>>;
export type Results = v.InferOutput<typeof resultsSchema>;
/** The results of one study. */
export type ResultsOf<Study extends Results["study"]> = Extract<Results, { study: Study }>;
export type CaseResults = v.InferOutput<typeof casesSchema>;
export type Case = v.InferOutput<typeof caseSchema>;
export type Pair = v.InferOutput<typeof pairSchema>;
export type FailedCase = v.InferOutput<typeof failedSchema>;
export type BaselineCase = ResultsOf<"baselines">["cases"][number];
