import type { DemoId, DemoResult } from "../after/demos.js";
import type { Changes } from "../changed-keys.js";
import type { StepPair, TraceHeader } from "../trace.js";

/** The generation that the reader requested. */
export interface RunOptions {
  readonly prompts: readonly string[];
  readonly maxGenLen: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  /** Id of a planted bug; "" for none. */
  readonly bug: string;
}

/** Messages from the page to its worker. `run` numbers the runs, so that replies of an earlier run can be ignored. */
export type Request =
  /** Load the model. The first request; all files are gzipped, in base64. */
  | { readonly type: "load"; readonly wasm: string; readonly files: ReadonlyMap<string, string> }
  | { readonly type: "start"; readonly run: number; readonly options: RunOptions }
  /** Continue until this many steps are done. */
  | { readonly type: "until"; readonly run: number; readonly steps: number }
  /** Compare the keys and values of two texts. */
  | { readonly type: "compare"; readonly texts: readonly [string, string] }
  /** Run a demonstration of the chapter "After the cache", when there is nothing else to do. */
  | { readonly type: "demo"; readonly id: DemoId; readonly choice: number };

/** Messages from the worker to its page. */
export type Reply =
  | {
      readonly type: "started";
      readonly run: number;
      readonly header: TraceHeader;
      readonly strings: Strings;
    }
  | { readonly type: "step"; readonly run: number; readonly pair: StepPair; readonly strings: Strings }
  | { readonly type: "ended"; readonly run: number }
  | { readonly type: "compared"; readonly texts: readonly [string, string]; readonly changes: Changes }
  | {
      readonly type: "demo";
      readonly id: DemoId;
      readonly choice: number;
      readonly result: DemoResult<DemoId>;
    }
  | { readonly type: "failed"; readonly run: number; readonly message: string };

/** Text of token ids. */
type Strings = Readonly<Record<string, string>>;
