import * as v from "valibot";
import type { Machine } from "../machine.js";
import { EXECUTIONS } from "./case.js";

// The results files, validated when they are read. Times are in the unit of their name, sizes in bytes.

/** Several fields of the same schema. */
const all = <Schema, Name extends string>(schema: Schema, ...names: Name[]) =>
  Object.fromEntries(names.map((name) => [name, schema])) as Record<Name, Schema>;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const size = v.pipe(v.number(), v.integer(), v.minValue(1));
const positive = v.pipe(v.number(), v.gtValue(0));
const bytes = v.pipe(v.number(), v.minValue(0)); // not whole where weights are held one and a half times
const text = v.string();
const samples = v.pipe(v.array(v.number()), v.minLength(1));
const spread = v.strictObject({ ...all(v.number(), "median", "min", "max"), samples });
const backendName = v.picklist(["tensorflow", "wasm", "cpu"]);
const backend = v.strictObject({ name: backendName, device: v.picklist(["cpu", "cuda"]), description: text });
const timestamp = v.pipe(text, v.isoTimestamp());

/** The part of `machineFacts` that is relied on. */
const machine = v.looseObject({
  ...all(text, "node", "tfjs"),
  cpu: v.object({ model: text, cores: size }),
  memory: v.object(all(count, "totalBytes", "availableBytes")),
  nvidia: v.nullable(v.looseObject({ gpus: v.array(v.looseObject({ name: text })) })),
});

/** The header of every results file. */
const provenance = {
  date: timestamp,
  command: v.array(text), // the options, without those that name files
  commit: v.nullable(text), // null without git
  changed: v.nullable(v.boolean()), // whether the program differed from that commit
  machine: v.custom<Machine>((input) => v.is(machine, input), "Expected the facts about a machine"),
  backends: v.tupleWithRest([backend], backend),
  model: v.nullable(text), // null where no model is run
  dtype: v.literal("float32"), // of all but the weights of an execution that ends in bf16
  tf32: v.boolean(),
  versions: v.optional(v.record(text, text)), // of other programs
  note: v.optional(text),
};
const header = <Name extends string>(study: Name) => ({ study: v.literal(study), ...provenance });

const pairSpec = { execution: v.picklist(EXECUTIONS), ...all(size, "batch", "input", "output") };
const caseSpec = { useCache: v.boolean(), ...pairSpec };

const caseSchema = v.strictObject({
  ...caseSpec,
  interleaved: v.boolean(), // with the runs of the other mode and executions
  // Of whole generations, one sample per run; of prefills; of decode steps, the first run's by position, the second's, …
  ...all(spread, "seconds", "firstTokenMs", "stepMs"),
  ...all(positive, "tokensPerSecond", "decodeTokensPerSecond", "prefillTokensPerSecond"),
  memory: v.strictObject({
    predicted: bytes, // weights (as often as they are held), cache, activations: at the peak, from the configuration
    liveTensorPeak: v.nullable(count), // null in graph mode, whose tensors are TensorFlow's own
    process: count, // at its peak
    device: v.nullable(count), // GPU memory in use after the runs, by any process; null without a GPU
    cache: v.strictObject({ predicted: count, measured: v.nullable(count) }),
    byStep: v.strictObject({ predicted: v.array(bytes), liveTensorPeak: v.array(count) }), // of the first run
  }),
  cost: v.strictObject({
    // From the configuration alone: see src/cost/cost.ts.
    ...all(count, "flops", "cacheBytesRead", "cacheBytesWritten"),
    ...all(count, "kvPairsComputed", "kvPairsReused", "kvPairsRecomputed"),
    weightBytes: bytes,
    arithmeticIntensity: positive,
  }),
  tokensSha256: v.pipe(text, v.regex(/^[\da-f]{64}$/)), // of the chosen ids as JSON
  identical: v.nullable(v.boolean()), // see pairs; null for one mode alone
});

/** Both modes of a case, compared. */
const pairSchema = v.strictObject({
  ...pairSpec,
  identical: v.boolean(), // the tokens of all runs; and the logits, up to rounding
  maxLogitDifference: v.nullable(bytes), // up to the first different token; null where memory did not suffice for both
  difference: v.nullable(text), // the first
  speedUp: spread, // time without the cache divided by time with it, run by run
  predictedSpeedUp: positive, // the ratio of their FLOPs
});

/** The results of `npm run bench` without a study. */
export const casesSchema = v.strictObject({
  ...header("cases"),
  interrupted: v.boolean(), // before the last case
  cases: v.array(caseSchema),
  pairs: v.array(pairSchema),
  failed: v.array(v.strictObject({ ...caseSpec, reason: text })),
});

const rooflineSchema = v.strictObject({
  ...header("roofline"),
  ...all(size, "batch", "input", "weightBytes"), // of the weights that a step reads
  prefillMs: v.strictObject(all(spread, "measured", "matmuls")),
  stepMs: v.strictObject(all(spread, "measured", "matmuls", "weightRead")),
});

/** The host time of a decode step. */
export const hostTimeSchema = v.strictObject({
  ...header("host-time"),
  ...all(size, "batch", "past"), // positions in the cache before the step
  execution: v.picklist(EXECUTIONS),
  ...all(v.optional(v.number()), "traceMs", "firstStepMs"), // missing in older files
  operations: positive,
  // Per step; older files have the host's time for each in eager execution, and the GPU's for all.
  operationsByName: v.record(text, v.strictObject({ times: positive, microseconds: v.optional(v.number()) })),
  ...all(spread, "hostMs", "latencyMs"),
  deviceMs: v.optional(v.nullable(spread)),
  pipelinedMs: positive, // per step, where no step waits for the one before it
});

const leaksSchema = v.strictObject({
  ...header("leaks"),
  batch: size,
  samples: v.array(v.strictObject(all(count, "steps", "tensors", "tensorBytes", "processBytes"))),
});

const cacheWriteSchema = v.strictObject({
  ...header("cache-write"),
  sizes: v.strictObject(all(size, "heads", "capacity", "headDim")), // of one layer's keys, all sequences
  cases: v.array(
    v.strictObject({
      backend: backendName,
      strategy: text,
      length: size, // positions after the write
      // Of the write alone, and with the slice of all positions that attention reads.
      ...all(spread, "writeMicroseconds", "writeAndReadMicroseconds"),
      ...all(count, "writeBytes", "writeAndReadBytes"), // newly allocated
    }),
  ),
});

/** The results of all measurements on a GPU. */
export const gpuSchema = v.strictObject({
  ...header("gpu"),
  benches: v.array(casesSchema), // one for each TF32 setting and sitting
  hostTime: v.array(hostTimeSchema),
  failed: v.array(text),
  tests: v.optional(v.unknown()),
});

const baselineCase = {
  useCache: v.boolean(),
  ...all(size, "batch", "input", "output"),
  ...all(positive, "seconds", "firstTokenMs", "stepMs"),
  samples,
  tokensSha256: text,
};

const baselinesSchema = v.strictObject({
  ...header("baselines"),
  threads: size,
  // By program, medians of the rounds, and whether every round chose the tokens of the first.
  cases: v.array(v.strictObject({ by: text, ...baselineCase, sameEachRound: v.boolean() })),
});

/** The file that scripts/bench/baselines/transformers_baseline.py writes. */
export const transformersSchema = v.strictObject({
  study: v.literal("transformers"),
  date: timestamp,
  ...all(text, "device", "torch", "transformers", "model"),
  cases: v.array(
    v.strictObject({
      ...baselineCase,
      ...all(text, "attention", "dtype", "tf32"),
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

/** Median, minimum, maximum and all samples of a measured value. */
export type Spread = v.InferOutput<typeof spread>;
/** The header of every results file. */
export type Provenance = v.InferOutput<v.StrictObjectSchema<typeof provenance, undefined>>;
/** A results file of any study. */
export type Results = v.InferOutput<typeof resultsSchema>;
/** The results of one study. */
export type ResultsOf<Study extends Results["study"]> = Extract<Results, { study: Study }>;
/** The results of `npm run bench` without a study. */
export type CaseResults = ResultsOf<"cases">;
/** The measurements of one case. */
export type Case = CaseResults["cases"][number];
/** The comparison of a case's two modes. */
export type Pair = CaseResults["pairs"][number];
/** One case of the baselines study, by one program. */
export type BaselineCase = ResultsOf<"baselines">["cases"][number];
