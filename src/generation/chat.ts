import { checkGenerationFits } from "../cost/memory-check.js";
import { InputError } from "../util/errors.js";
import type { Cache, Model } from "../model/model.js";
import { TextStream, type Tokenizer } from "../tokenizer/tokenizer.js";
import { type ChatFormat, chatFormat } from "./chat-format.js";
import { DEFAULTS } from "./generate.js";
import { type StepOptions, type StopReason, steps } from "./steps.js";

/** How to reply. */
export type ReplyOptions = Partial<Omit<StepOptions, "stopIds" | "useCache" | "cache" | "probe">>;

/**
 * A conversation with an instruct model. Its KV cache is kept between turns: a turn feeds the new message alone, however
 * long the conversation is.
 *
 * What the user types is text: special tokens, which begin and end messages, are only ever put in by the format.
 */
export class Conversation {
  /** Every token so far. The cache holds all but those that are still to be fed, the last ones. */
  private ids: number[] = [];
  private cache: Cache | undefined;
  private readonly format: ChatFormat;

  /**
   * @param maxSeqLen positions that the cache gets room for, at most the model's context
   * @param system what the model is told before the first message
   * @throws InputError when the tokenizer has no special tokens of a format that is known here, or maxSeqLen is more than
   *         the model's context, or leaves no room for a message beside the system's text
   */
  constructor(
    private readonly model: Model,
    private readonly tokenizer: Tokenizer,
    readonly maxSeqLen: number,
    private readonly system?: string | undefined,
  ) {
    if (!Number.isInteger(maxSeqLen) || maxSeqLen < 1 || maxSeqLen > model.config.maxSeqLen) {
      throw new InputError(
        `a conversation of ${maxSeqLen} positions was asked for, expected 1 to ${model.config.maxSeqLen}`,
      );
    }
    this.format = chatFormat(tokenizer);
    const least = this.promptOf(this.beginning(), "").length + this.format.end.length + 2; // a token said, one replied
    if (maxSeqLen < least) {
      throw new InputError(
        `a context of ${maxSeqLen} tokens has no room for a message and a reply: with the chat format` +
          `${system === undefined ? "" : " and what the system says"} they take ${least} at least`,
      );
    }
  }

  /** Tokens so far, those of the format included. */
  get length(): number {
    return this.ids.length;
  }

  /**
   * Says something and gives the model's reply, piece by piece.
   *
   * @returns "stop" when the model ended its reply, "length" when maxGenLen or the cache's room did
   * @throws InputError when the message does not fit in what is left of the cache, or in memory; the conversation stays as it was
   */
  async *reply(message: string, options: ReplyOptions = {}): AsyncGenerator<string, StopReason, void> {
    const { tokenizer, maxSeqLen, format } = this;
    const prompt = this.promptOf(this.ids.length > 0 ? this.ids : this.beginning(), message);
    const room = maxSeqLen - prompt.length - format.end.length;
    if (room < 1) {
      const alone = this.promptOf(this.beginning(), message).length + format.end.length;
      throw new InputError(
        `the conversation has ${this.ids.length} tokens and this message makes ${prompt.length}, ` +
          `its context has room for ${maxSeqLen} with the reply; ` +
          (alone < maxSeqLen ? "a reset would make room for it" : "expected a shorter message"),
      );
    }
    const maxGenLen = Math.min(options.maxGenLen ?? 512, room);
    if (!this.cache) {
      const size = { batch: 1, input: prompt.length, output: maxGenLen, useCache: true };
      checkGenerationFits(this.model.config, size, maxSeqLen);
      await this.model.prepare?.(1, maxSeqLen);
      this.cache = this.model.createCache(1, maxSeqLen);
    }
    const stopIds = new Set([...tokenizer.stopIds, format.stopId]);
    const all: StepOptions = {
      ...DEFAULTS,
      ...options,
      maxGenLen,
      stopIds,
      useCache: true,
      cache: this.cache,
    };
    const stream = new TextStream(tokenizer);
    const said: number[] = [];
    let reason: StopReason = "length";
    try {
      for await (const step of steps(this.model, [prompt], all)) {
        const { id, stopReason } = step.next[0]!;
        if (stopReason === "stop") {
          reason = "stop";
          break;
        }
        said.push(id);
        const text = stream.push(id);
        if (text) yield text;
      }
      const rest = stream.end();
      if (rest) yield rest;
    } finally {
      // Also when the reply was broken off: what the cache holds is the beginning of this.
      if (this.cache.length > this.ids.length) this.ids = [...prompt, ...said, ...format.end];
    }
    return reason;
  }

  /** What the model is fed for its reply to a message. */
  private promptOf(before: readonly number[], message: string): number[] {
    return [...before, ...this.format.message("user", message), ...this.format.header("assistant")];
  }

  /** What stands before the first message. */
  private beginning(): number[] {
    const { tokenizer, format, system } = this;
    const bos = tokenizer.bosId !== undefined && format.begins ? [tokenizer.bosId] : [];
    return system === undefined ? bos : [...bos, ...format.message("system", system)];
  }

  /** Forgets everything that was said. */
  reset(): void {
    this.cache?.dispose();
    this.cache = undefined;
    this.ids = [];
  }

  /** Frees the cache. */
  dispose(): void {
    this.reset();
  }
}
