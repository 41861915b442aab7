import type { TraceHead, Turn } from "../trace.js";

/** What the reader asked for. */
export interface RunOptions {
  readonly prompts: readonly string[];
  readonly maxGenLen: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  /** Id of a planted bug; "" for none. */
  readonly bug: string;
}

/** From the page to its worker. `run` counts the runs, so that what a former one still says can be told apart. */
export type Request =
  | { readonly type: "load"; readonly wasm: Uint8Array; readonly files: ReadonlyMap<string, Uint8Array> }
  | { readonly type: "start"; readonly run: number; readonly options: RunOptions }
  /** Go on until so many turns have been taken. */
  | { readonly type: "until"; readonly run: number; readonly turns: number };

/** From the worker to its page. */
export type Reply =
  | { readonly type: "ready" }
  | { readonly type: "started"; readonly run: number; readonly head: TraceHead; readonly words: Words }
  | { readonly type: "turn"; readonly run: number; readonly turn: Turn; readonly words: Words }
  | { readonly type: "ended"; readonly run: number }
  | { readonly type: "failed"; readonly run: number; readonly message: string };

/** The texts of token ids. */
export type Words = Readonly<Record<string, string>>;
