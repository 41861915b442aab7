import type { StepCost } from "../src/cost/cost.js";
import type { Step } from "../src/generation/steps.js";
import type { ModelConfig } from "../src/model/config.js";

/** A candidate for the next token. */
export interface Candidate {
  readonly id: number;
  /** Its softmax probability at temperature 1. */
  readonly probability: number;
}

/**
 * Kind of a captured vector: a key, a value or the last position's query, [D], or a query's attention weights, one for
 * each position it sees.
 */
export type VectorKind = "key" | "value" | "query" | "attention";

/** One position's key, value or attention weights in one head of one layer. */
export interface CapturedVector {
  readonly kind: VectorKind;
  readonly layer: number;
  /** Index of the sequence in the batch. */
  readonly sequence: number;
  /** A KV head; for queries and attention weights, a query head. */
  readonly head: number;
  /** Position of the key and value; for attention weights, of the query. */
  readonly position: number;
  readonly values: Float32Array;
}

/** A step of one mode with its cost and captured activations. */
export interface CapturedStep extends Step {
  /** Milliseconds for the forward pass and sampling, without the time for capturing. */
  readonly ms: number;
  readonly cost: StepCost;
  /** One list for each sequence, most likely first. */
  readonly candidates: readonly (readonly Candidate[])[];
  /** Vectors that were computed for the first time, or that differ from the last time they were computed. */
  readonly vectors: readonly CapturedVector[];
  /** Largest change of any recomputed number; 0 if none was recomputed. */
  readonly largestChange: number;
}

/** Comparison of a step of a model with a planted bug with the same step of the correct model. */
export interface ReferenceStep {
  /** Token ids of the correct model at position curPos, one for each sequence. */
  readonly next: readonly number[];
  /** Largest logit difference of each sequence; undefined once the tokens differ or a mode has ended. */
  readonly cached: readonly (number | undefined)[];
  readonly uncached: readonly (number | undefined)[];
}

/** The same step in both modes. A mode is undefined once it has ended. */
export interface StepPair {
  readonly cached: CapturedStep | undefined;
  readonly uncached: CapturedStep | undefined;
  /** Largest logit difference between the modes for each sequence; undefined once the tokens differ. */
  readonly differences: readonly (number | undefined)[];
  /** Only with a planted bug. */
  readonly reference: ReferenceStep | undefined;
}

/** A prompt and its token ids. */
export interface TracePrompt {
  readonly text: string;
  readonly ids: readonly number[];
}

/** The part of a trace that is known before the first step. */
export interface TraceHeader {
  /** Name of the checkpoint. */
  readonly model: string;
  readonly config: ModelConfig;
  /** Description of the backend. */
  readonly backend: string;
  readonly prompts: readonly TracePrompt[];
  readonly maxGenLen: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  /** Layers whose keys, values and attention weights are captured. */
  readonly layers: readonly number[];
}

/** A generation in both modes, as `npm run trace -- --json FILE` saves it. */
export interface Trace extends TraceHeader {
  readonly format: typeof TRACE_FORMAT;
  /** ISO date of the generation. */
  readonly date: string;
  /** Text of every token id in the trace. */
  readonly tokenStrings: Readonly<Record<string, string>>;
  readonly steps: readonly StepPair[];
}

/** The `format` field of every saved trace. */
export const TRACE_FORMAT = "kv-cache-lecture trace 2";
