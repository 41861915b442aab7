import { checkGenerationFits } from "../cost/memory-check.js";
import { InputError } from "../util/errors.js";
import type { Cache, Model } from "../model/model.js";
import { TextStream } from "../tokenizer/text-stream.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { type ChatFormat, chatFormat } from "./chat-format.js";
import { DEFAULTS } from "./generate.js";
import type { StepOptions } from "./options.js";
import type { StopReason } from "./sequence.js";
import { steps } from "./steps.js";

/** Options of a reply. */
export type ReplyOptions = Partial<
  Omit<StepOptions, "stopIds" | "useCache" | "cache" | "probe" | "onLogits">
>;

/**
 * A conversation with an instruct model. Its KV cache is kept between messages, so each reply prefills only the new
 * message, however long the conversation is.
 *
 * User messages are plain text: special tokens, which begin and end messages, are only ever inserted by the format.
 */
export class Conversation {
  /** All tokens so far. The cache holds the keys and values of all but the last few. */
  private ids: number[] = [];
  private cache: Cache | undefined;
  private readonly format: ChatFormat;

  /**
   * @param capacity of the cache in positions, at most the model's context
   * @param system   message that precedes the first one
   * @throws InputError when the tokenizer has the special tokens of no known chat format, or the capacity exceeds the
   *         model's context or is too small for the system message, a message and a reply
   */
  constructor(
    private readonly model: Model,
    private readonly tokenizer: Tokenizer,
    readonly capacity: number,
    private readonly system?: string | undefined,
  ) {
    const { maxSeqLen } = model.config;
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > maxSeqLen) {
      throw new InputError(`a conversation's capacity must be 1 to ${maxSeqLen} positions, got ${capacity}`);
    }
    this.format = chatFormat(tokenizer);
    const least = this.promptOf(this.beginning(), "").length + this.format.end.length + 2; // one token of message, one of reply
    if (capacity < least) {
      throw new InputError(
        `a conversation's capacity must be at least ${least} tokens, for the chat format` +
          `${system === undefined ? "" : ", the system message"}, a message and a reply, got ${capacity}`,
      );
    }
  }

  /** Tokens so far, including those of the format. */
  get length(): number {
    return this.ids.length;
  }

  /**
   * Sends a message and streams the model's reply.
   *
   * @returns "stop" when the model ended its reply, "length" when maxGenLen or the cache's capacity did
   * @throws InputError when the message does not fit in the rest of the cache, or in memory; the conversation is unchanged
   */
  async *reply(message: string, options: ReplyOptions = {}): AsyncGenerator<string, StopReason, void> {
    const { tokenizer, capacity, format } = this;
    const prompt = this.promptOf(this.ids.length > 0 ? this.ids : this.beginning(), message);
    const left = capacity - prompt.length - format.end.length;
    if (left < 1) {
      const alone = this.promptOf(this.beginning(), message).length + format.end.length;
      throw new InputError(
        `the conversation must fit in ${capacity} tokens with its reply, ` +
          `got ${this.ids.length} so far and ${prompt.length} with this message: ` +
          (alone < capacity ? "reset the conversation" : "send a shorter message"),
      );
    }
    const maxGenLen = Math.min(options.maxGenLen ?? 512, left);
    if (!this.cache) {
      const size = { batch: 1, input: prompt.length, output: maxGenLen, useCache: true };
      checkGenerationFits(this.model.config, size, capacity);
      this.cache = this.model.createCache(1, capacity);
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
    const reply: number[] = [];
    let reason: StopReason = "length";
    try {
      for await (const step of steps(this.model, [prompt], all)) {
        const { id, stopReason } = step.next[0]!;
        if (stopReason === "stop") {
          reason = "stop";
          break;
        }
        reply.push(id);
        const text = stream.push(id);
        if (text) yield text;
      }
      const rest = stream.end();
      if (rest) yield rest;
    } finally {
      // Also after an interruption: the cache holds a prefix of these tokens.
      if (this.cache.length > this.ids.length) this.ids = [...prompt, ...reply, ...format.end];
    }
    return reason;
  }

  /** All tokens that precede the reply to a message. */
  private promptOf(before: readonly number[], message: string): number[] {
    return [...before, ...this.format.message("user", message), ...this.format.header("assistant")];
  }

  /** The tokens that precede the first message. */
  private beginning(): number[] {
    const { tokenizer, format, system } = this;
    const bos = tokenizer.bosId !== undefined && format.begins ? [tokenizer.bosId] : [];
    return system === undefined ? bos : [...bos, ...format.message("system", system)];
  }

  /** Starts over with an empty conversation. */
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
