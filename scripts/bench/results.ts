import type { Backend } from "../../src/backend/backend.js";
import type { GenerationCost } from "../../src/cost/cost.js";
import type { Machine } from "../machine.js";
import type { CaseSpec, PairSpec } from "./case.js";

// Results files. Times are in the unit of their name, sizes in bytes.

/** Median, minimum, maximum and all samples of a measured value. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: readonly number[];
}

/** The header of a results file: what the runner of a study knows before anything is measured. */
export interface Header<Study extends string = string> {
  readonly study: Study;
  /** In ISO 8601. */
  readonly date: string;
  /** The options, without those that name files. */
  readonly command: readonly string[];
  /** Null without git. */
  readonly commit: string | null;
  /** True if the program differed from that commit. */
  readonly changed: boolean | null;
  readonly machine: Machine;
  /** Of all but the weights of an execution that ends in bf16. */
  readonly dtype: "float32";
  readonly tf32: boolean;
}

/** The results of a study: the header, what it ran on, and its own measurements. */
export interface Results<Study extends string = string> extends Header<Study> {
  readonly backends: readonly [Backend, ...Backend[]];
  /** Null where no model is run. */
  readonly model: string | null;
  /** Of other programs. */
  readonly versions?: Readonly<Record<string, string>>;
}

/** The measurements of a study, without the header. */
export type Measured<R extends Results> = Omit<R, keyof Header>;

/** The measurements of one case. */
export interface Case extends CaseSpec {
  /** True if its runs alternated with those of the other mode and executions. */
  readonly interleaved: boolean;
  /** Of whole generations, one sample per run. */
  readonly seconds: Spread;
  /** Of prefills. */
  readonly firstTokenMs: Spread;
  /** Of decode steps: the first run's by position, the second's, … */
  readonly stepMs: Spread;
  readonly memory: {
    /** Weights (as often as they are held), cache and activations at the peak, from the configuration. */
    readonly predicted: number;
    /** Null in graph mode, whose tensors are TensorFlow's own. */
    readonly liveTensorPeak: number | null;
    /** Of the process, at its peak. */
    readonly process: number;
    /** GPU memory in use after the runs, by any process; null without a GPU. */
    readonly device: number | null;
    /** Of these, the bytes in use before the model was loaded: CUDA's own, and other processes'. */
    readonly context?: number | null;
    /** Of the first run. */
    readonly byStep: { readonly predicted: readonly number[]; readonly liveTensorPeak: readonly number[] };
  };
  /** From the configuration alone. */
  readonly cost: Omit<GenerationCost, "steps"> & { readonly arithmeticIntensity: number };
  /** Of the chosen ids as JSON. */
  readonly tokensSha256: string;
}

/** Both modes of a case, compared. */
export interface Pair extends PairSpec {
  /** True if the tokens of all runs are equal, and the logits up to rounding. */
  readonly identical: boolean;
  /** Up to the first different token; null where memory did not suffice for both modes at once. */
  readonly maxLogitDifference: number | null;
  /** The first difference. */
  readonly difference: string | null;
  /** Time without the cache divided by time with it, run by run. */
  readonly speedUp: Spread;
  /** The ratio of their FLOPs. */
  readonly predictedSpeedUp: number;
}

/** The results of `npm run bench` without a study. */
export interface CaseResults extends Results<"cases"> {
  /** True before the last case is measured. */
  readonly interrupted: boolean;
  readonly cases: readonly Case[];
  readonly pairs: readonly Pair[];
  readonly failed: readonly (CaseSpec & { readonly reason: string })[];
}
