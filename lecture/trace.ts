import type { StepCost } from "../src/cost/cost.js";
import type { Step } from "../src/generation/steps.js";
import type { ModelConfig } from "../src/model/config.js";

/** A token that could come next. */
export interface Candidate {
  readonly id: number;
  /** By softmax at temperature 1. */
  readonly probability: number;
}

/** What a recorded row is: a key or value, D numbers, or the weights of one query, one for every position it sees. */
export type RowKind = "key" | "value" | "attention";

/** One row of a layer's keys, values or attention weights. */
export interface RecordedRow {
  readonly kind: RowKind;
  readonly layer: number;
  /** Of the batch. */
  readonly row: number;
  /** A key/value head, or for attention a query head. */
  readonly head: number;
  /** Whose key or value it is, or whose query it was. */
  readonly position: number;
  readonly values: Float32Array;
}

/** A step, and what it cost and computed. */
export interface RecordedStep extends Step {
  /** Time of the model and the choice, without the time to record. */
  readonly ms: number;
  readonly cost: StepCost;
  /** One list a row of the batch, likeliest first. */
  readonly candidates: readonly (readonly Candidate[])[];
  /** Computed for the first time, or other than before. */
  readonly rows: readonly RecordedRow[];
  /** Largest change of any number that was computed again; 0 where none was. */
  readonly largestChange: number;
}

/** A planted bug's step beside the same step of the whole model. */
export interface AgainstWhole {
  /** The token ids that the whole model has at position curPos, one a row of the batch. */
  readonly next: readonly number[];
  /** The largest difference of any score, one number a row; undefined once the texts differ or a mode has ended. */
  readonly cached: readonly (number | undefined)[];
  readonly uncached: readonly (number | undefined)[];
}

/** One turn of both modes in step. A mode is undefined once it has ended. */
export interface Turn {
  readonly cached: RecordedStep | undefined;
  readonly uncached: RecordedStep | undefined;
  /** The largest difference of any score between the modes, one number a row; undefined once the texts differ. */
  readonly differences: readonly (number | undefined)[];
  /** Only with a planted bug. */
  readonly whole?: AgainstWhole | undefined;
}

/** A prompt, and its token ids. */
export interface RecordedPrompt {
  readonly text: string;
  readonly ids: readonly number[];
}

/** What is known of a generation before its first step. */
export interface TraceHead {
  /** The checkpoint's name. */
  readonly model: string;
  readonly config: ModelConfig;
  /** What computed it. */
  readonly backend: string;
  readonly prompts: readonly RecordedPrompt[];
  readonly maxGenLen: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  /** Layers whose rows are recorded. */
  readonly layers: readonly number[];
}

/** A whole generation in both modes, as `npm run trace -- --json FILE` writes it. */
export interface Trace extends TraceHead {
  readonly format: typeof TRACE_FORMAT;
  /** When, as an ISO date. */
  readonly date: string;
  /** The text of every token id in the trace. */
  readonly words: Readonly<Record<string, string>>;
  readonly turns: readonly Turn[];
}

/** The first field of every trace. */
export const TRACE_FORMAT = "kv-cache-lecture trace 1";
