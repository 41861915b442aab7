import { checkGenerationFits } from "../cost/memory-check.js";
import { InputError } from "../util/errors.js";
import type { Cache, CacheKind } from "../model/generation-cache.js";
import type { Model } from "../model/model.js";
import type { ChatTemplate, Message } from "../tokenizer/chat-template.js";
import { TextStream } from "../tokenizer/text-stream.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { ChatPrompt } from "./chat-prompt.js";
import { DEFAULTS } from "./generate.js";
import type { StepOptions } from "./options.js";
import type { StopReason } from "./sequence.js";
import { steps } from "./steps.js";

const userMessage = (content: string): Message => ({ role: "user", content });

/** Options of a reply. */
export type ReplyOptions = Partial<
  Omit<StepOptions, "stopIds" | "useCache" | "cache" | "probe" | "onLogits">
>;

/** All that a conversation is made of, to be saved. */
export interface ConversationState {
  readonly messages: readonly Message[];
  /** The tokens whose keys and values the cache holds. */
  readonly ids: readonly number[];
  readonly cache: Cache | undefined;
}

/** The end of a reply. */
export interface ReplyEnd {
  /** "stop" when the model ended it, "length" when maxGenLen or the capacity did, "reset" when `reset` or `dispose` did. */
  readonly reason: StopReason | "reset";
  /** Tokens of the conversation up to the reply. */
  readonly promptTokens: number;
  /** Positions of them whose keys and values were in the cache; the others were computed. */
  readonly reused: number;
  /** Tokens of the reply, without a stop token. */
  readonly replyTokens: number;
}

/**
 * A conversation with an instruct model. Every reply's prompt is the whole conversation as the checkpoint's chat template
 * writes it. The KV cache is kept between replies: as long as a prompt repeats the tokens before it, only what is new is
 * computed. At the first different token the cache is truncated, as all later keys and values depend on it.
 *
 * A template may change what it wrote before: today's date, a first message that is dropped. The model may also have
 * generated other tokens for its text than the tokenizer does.
 */
export class Conversation {
  private messages: readonly Message[];
  /** The tokens whose keys and values the cache holds. */
  private cached: readonly number[] = [];
  private cache: Cache | undefined;
  /** Ends the reply that is being generated. */
  private running: AbortController | undefined;
  private disposed = false;
  private readonly prompt: ChatPrompt;
  private readonly stopIds: ReadonlySet<number>;

  /**
   * @param template the checkpoint's, see `loadChatTemplate`
   * @param capacity of the cache in positions, at most the model's context
   * @param system   message that precedes the first one
   * @throws InputError when the template rejects a system message, or the capacity exceeds the model's context or is too
   *         small for the template, the system message, a message and a reply
   */
  constructor(
    private readonly model: Model,
    private readonly tokenizer: Tokenizer,
    template: ChatTemplate,
    readonly capacity: number,
    private readonly system?: string | undefined,
  ) {
    const { maxSeqLen } = model.config;
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > maxSeqLen) {
      throw new InputError(`a conversation's capacity must be 1 to ${maxSeqLen} positions, got ${capacity}`);
    }
    this.prompt = new ChatPrompt(template, tokenizer);
    this.messages = this.beginning();
    const least = this.promptFor("a").length + 1;
    if (capacity < least) {
      throw new InputError(
        `a conversation's capacity must be at least ${least} tokens, for the chat template` +
          `${system === undefined ? "" : ", the system message"}, a message and a reply, got ${capacity}`,
      );
    }
    const endId = this.prompt.endId();
    this.stopIds = new Set([...tokenizer.stopIds, ...(endId === undefined ? [] : [endId])]);
  }

  /**
   * Sends a message and streams the model's reply. A reply that is interrupted remains in the conversation as it is;
   * before its first token, the message is dropped.
   *
   * @throws InputError while another reply is generated, after `dispose`, and when the message does not fit in the rest
   *         of the cache, or in memory; the conversation is unchanged
   */
  async *reply(message: string, options: ReplyOptions = {}): AsyncGenerator<string, ReplyEnd, void> {
    this.checkIdle();
    const running = (this.running = new AbortController());
    try {
      return yield* this.generate(message, options, running.signal);
    } finally {
      if (this.running === running) this.running = undefined;
    }
  }

  /**
   * Replaces the last reply by another to the same message. The cache has the prompt, so of it only the last token is
   * computed. The same seed gives the same reply. One that is interrupted before its first token leaves the old one.
   *
   * @throws InputError without a reply, and what `reply` throws; the conversation is unchanged
   */
  async *regenerate(options: ReplyOptions = {}): AsyncGenerator<string, ReplyEnd, void> {
    this.checkIdle();
    const before = this.messages;
    const message = before.at(-2);
    if (message?.role !== "user")
      throw new InputError("a conversation must have a reply to regenerate, got none");
    const kept = (this.messages = before.slice(0, -2));
    try {
      return yield* this.reply(message.content, options);
    } finally {
      if (this.messages === kept) this.messages = before;
    }
  }

  private checkIdle(): void {
    if (this.disposed) throw new InputError("the conversation must not be disposed before a reply");
    if (!this.running) return;
    throw new InputError(
      "a conversation must generate one reply at a time: read the other one to its end, or call its return()",
    );
  }

  private async *generate(
    message: string,
    options: ReplyOptions,
    wasReset: AbortSignal,
  ): AsyncGenerator<string, ReplyEnd, void> {
    const prompt = this.promptFor(message);
    const maxGenLen = Math.min(options.maxGenLen ?? 512, this.capacity - prompt.length);
    if (maxGenLen < 1) throw this.doesNotFit(prompt.length, message);
    const cache = this.cacheFor(prompt, maxGenLen, options.cacheKind);
    const end = { promptTokens: prompt.length, reused: cache.length };
    const { stopIds } = this;
    const signal = options.signal ? AbortSignal.any([options.signal, wasReset]) : wasReset;
    const all: StepOptions = { ...DEFAULTS, ...options, maxGenLen, stopIds, useCache: true, cache, signal };
    const stream = new TextStream(this.tokenizer);
    const reply: number[] = [];
    let text = "";
    let reason: StopReason | undefined;
    try {
      for await (const { next } of steps(this.model, [prompt], all)) {
        wasReset.throwIfAborted();
        const { id, stopReason } = next[0]!;
        if (stopReason !== "stop") reply.push(id);
        const delta = (stopReason === "stop" ? "" : stream.push(id)) + (stopReason ? stream.end() : "");
        text += delta;
        reason = stopReason;
        if (delta) yield delta;
      }
    } catch (error) {
      if (!wasReset.aborted) throw error;
    } finally {
      // Also after an interruption. After a reset, all of this belongs to another conversation.
      if (!wasReset.aborted) {
        this.cached = [...prompt, ...reply].slice(0, cache.length);
        const assistant: Message = { role: "assistant", content: text };
        if (reason || reply.length > 0) this.messages = [...this.messages, userMessage(message), assistant];
      }
    }
    return { ...end, reason: wasReset.aborted ? "reset" : reason!, replyTokens: reply.length };
  }

  /** The cache, truncated to the tokens that the prompt begins with; the prompt's last token is always computed. */
  private cacheFor(prompt: readonly number[], maxGenLen: number, cacheKind?: CacheKind): Cache {
    if (!this.cache) {
      const { config, longestChunk } = this.model;
      const { capacity } = this;
      const output = maxGenLen;
      const size = {
        batch: 1,
        input: prompt.length,
        output,
        capacity,
        useCache: true,
        cacheKind,
        longestChunk,
      };
      checkGenerationFits(config, size, capacity);
      this.cache = this.model.createCache(1, capacity, cacheKind);
    }
    const different = this.cached.findIndex((id, i) => id !== prompt[i]);
    const same = different < 0 ? this.cached.length : different;
    this.cache.truncate(Math.min(same, prompt.length - 1));
    this.cached = this.cached.slice(0, this.cache.length);
    return this.cache;
  }

  private promptFor(message: string): number[] {
    return this.prompt.ids([...this.messages, userMessage(message)]);
  }

  private doesNotFit(length: number, message: string): InputError {
    const beginning = this.beginning();
    const isFirst = this.messages.length === beginning.length;
    const alone = isFirst ? length : this.prompt.ids([...beginning, userMessage(message)]).length;
    return new InputError(
      `the conversation must fit in ${this.capacity} tokens with its reply, got ${length} with this message: ` +
        (alone < this.capacity ? "reset the conversation" : "send a shorter message"),
    );
  }

  private beginning(): Message[] {
    return this.system === undefined ? [] : [{ role: "system", content: this.system }];
  }

  /** The messages, and the cache with the tokens whose keys and values it holds; undefined before the first reply. */
  get state(): ConversationState {
    const { messages, cached: ids, cache } = this;
    return { messages, ids, cache };
  }

  /**
   * Continues another conversation, whose cache becomes this one's. What the next prompt has in common with its tokens is
   * not computed again.
   *
   * @throws InputError when a reply is being generated, after `dispose`, and for a cache of another capacity
   */
  resume({ messages, ids, cache }: ConversationState): void {
    this.checkIdle();
    if (cache && cache.capacity !== this.capacity) {
      throw new InputError(`the cache's capacity must be ${this.capacity} positions, got ${cache.capacity}`);
    }
    this.cache?.dispose();
    [this.messages, this.cached, this.cache] = [messages, ids, cache];
  }

  /**
   * Starts over with an empty conversation. The cache is kept, so what the next prompt has in common with the last, such
   * as the system message, is not computed again. A reply that is being generated ends; its cache is freed.
   */
  reset(): void {
    if (this.running) this.freeCache();
    this.messages = this.beginning();
  }

  /** Frees the cache, after which there are no more replies. A reply that is being generated ends. */
  dispose(): void {
    this.freeCache();
    this.messages = this.beginning();
    this.disposed = true;
  }

  private freeCache(): void {
    this.running?.abort();
    this.running = undefined;
    this.cache?.dispose();
    this.cache = undefined;
    this.cached = [];
  }
}
