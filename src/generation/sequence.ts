/** Reason why a sequence ended: a stop token, or maxGenLen tokens. */
export type StopReason = "stop" | "length";

/** The token at the position that a step decided, for one sequence. */
export interface NextToken {
  readonly id: number;
  /** The sequence's own prompt, the model, or padding that keeps a finished sequence as long as the others. */
  readonly source: "prompt" | "model" | "padding";
  /** Set on a sequence's last token. */
  readonly stopReason: StopReason | undefined;
}

/** One sequence of the batch as it grows. */
export class Sequence {
  /** Token ids: the prompt, then what was generated. */
  readonly tokens: number[];
  /** True once it has ended; it is then padded. */
  finished = false;
  private readonly promptLength: number;

  constructor(
    prompt: readonly number[],
    private readonly maxGenLen: number,
    private readonly stopIds: ReadonlySet<number>,
  ) {
    this.tokens = [...prompt];
    this.promptLength = prompt.length;
  }

  /** Decides position curPos: the prompt's own token, `sample`'s, or padding once the sequence has ended. */
  advance(curPos: number, sample: () => number): NextToken {
    if (curPos < this.promptLength) {
      return { id: this.tokens[curPos]!, source: "prompt", stopReason: undefined };
    }
    if (this.finished) {
      const id = this.tokens.at(-1)!;
      this.tokens.push(id);
      return { id, source: "padding", stopReason: undefined };
    }
    const id = sample();
    this.tokens.push(id);
    const full = this.tokens.length === this.promptLength + this.maxGenLen;
    const stopReason = this.stopIds.has(id) ? "stop" : full ? "length" : undefined;
    this.finished = stopReason !== undefined;
    return { id, source: "model", stopReason };
  }
}
