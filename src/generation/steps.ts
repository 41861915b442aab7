import { eventLoop } from "../util/event-loop.js";
import type { Cache, Model } from "../model/model.js";
import type { Probe } from "../model/probe.js";
import { checkedLength } from "./check-prompts.js";
import { chooser } from "./choose.js";
import type { SamplingOptions } from "./sampling.js";

/** How to generate. */
export interface StepOptions extends SamplingOptions {
  /** At most so many tokens are generated for each row. */
  readonly maxGenLen: number;
  /** The switch: keep keys and values from step to step, or compute those of the whole prefix in every step. */
  readonly useCache: boolean;
  /** A row ends after one of these tokens. */
  readonly stopIds: ReadonlySet<number>;
  /**
   * A conversation's cache: it holds what the first `cache.length` tokens of the one prompt left behind, so that only the
   * others are fed. It grows with the generation and stays its maker's. Without it, a generation makes its own.
   */
  readonly cache?: Cache | undefined;
  /** Ends the generation before the next step; the reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Sees the model's intermediate results of every step. */
  readonly probe?: Probe | undefined;
}

/** One turn of the loop: what was fed, and what came out. */
export interface Step {
  /** Counts from 1. */
  readonly iteration: number;
  /** The first position fed. With the cache, where the last step ended; without, always 0. */
  readonly prevPos: number;
  /** One past the last position fed, and the position that this step decides. */
  readonly curPos: number;
  /** Token ids of positions prevPos … curPos-1, one list a row. */
  readonly fed: readonly (readonly number[])[];
  /** What stands at position curPos of each row. */
  readonly next: readonly NextToken[];
}

/** The token at the position that a step decided. */
export interface NextToken {
  readonly id: number;
  /** From the row's own prompt, chosen by the model, or only there to keep a finished row as long as the others. */
  readonly source: "prompt" | "model" | "padding";
  /** Why the row ends with this token: it is a stop token, or the maxGenLen-th; undefined while the row goes on. */
  readonly stopReason: StopReason | undefined;
}

/** Why a row ended. */
export type StopReason = "stop" | "length";

/**
 * Generates for a batch of prompts of unequal length as Meta's reference does (`generate` in llama3/generation.py):
 * the first step feeds every row as many positions as the shortest prompt has, each later one decides one position
 * more. A row that is still inside its prompt keeps its own next token instead of the model's choice, so no padding
 * is ever attended to.
 *
 * @param prompts one list of token ids a row
 * @throws InputError for an empty batch or prompt, options out of range, or a prompt that leaves no room in the
 *         model's context; NotFiniteError when the model's scores are not finite; the signal's reason when it is aborted
 */
export async function* steps(
  model: Model,
  prompts: readonly (readonly number[])[],
  options: StepOptions,
): AsyncGenerator<Step, void, void> {
  const total = checkedLength(prompts, options, model.config);
  const rows = prompts.map((prompt) => new Row(prompt, options));
  if (!options.cache) await model.prepare?.(rows.length, total);
  const own = options.useCache && !options.cache ? model.createCache(rows.length, total) : undefined;
  const cache = options.cache ?? own;
  try {
    let prevPos = cache?.length ?? 0;
    let curPos = prompts.reduce((shortest, { length }) => Math.min(shortest, length), Infinity);
    for (let iteration = 1; rows.some((row) => !row.finished); iteration++) {
      await eventLoop(options.signal);
      const fed = rows.map((row) => row.tokens.slice(prevPos, curPos));
      const choose = await chooser(model, cache, { fed, iteration, curPos }, options);
      const next = rows.map((row, i) => row.advance(curPos, () => choose(i)));
      yield { iteration, prevPos, curPos, fed, next };

      if (cache) prevPos = curPos; // all before is in the cache; without one, the whole prefix is fed again
      curPos++;
    }
  } finally {
    own?.dispose();
  }
}

/** One sequence of the batch as it grows. */
class Row {
  readonly tokens: number[];
  finished = false;
  private readonly promptLength: number;

  constructor(
    prompt: readonly number[],
    private readonly options: Pick<StepOptions, "maxGenLen" | "stopIds">,
  ) {
    this.tokens = [...prompt];
    this.promptLength = prompt.length;
  }

  /** Decides position curPos: the prompt's own token, or the model's choice, or a filler once the row has ended. */
  advance(curPos: number, choose: () => number): NextToken {
    if (curPos < this.promptLength) {
      return { id: this.tokens[curPos]!, source: "prompt", stopReason: undefined };
    }
    if (this.finished) {
      const id = this.tokens.at(-1)!;
      this.tokens.push(id);
      return { id, source: "padding", stopReason: undefined };
    }
    const id = choose();
    this.tokens.push(id);
    const full = this.tokens.length === this.promptLength + this.options.maxGenLen;
    const stopReason = this.options.stopIds.has(id) ? "stop" : full ? "length" : undefined;
    this.finished = stopReason !== undefined;
    return { id, source: "model", stopReason };
  }
}
