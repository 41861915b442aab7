import type { Model } from "../model/model.js";
import { TextStream } from "../tokenizer/text-stream.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { StepOptions } from "./options.js";
import type { StopReason } from "./sequence.js";
import { type Step, steps } from "./steps.js";

/** Options of `generate`; see `DEFAULTS`. */
export interface GenerateOptions extends Partial<Omit<StepOptions, "stopIds">> {
  /** Receives a sequence's text as it is generated, in whole characters. */
  readonly onText?: (sequence: number, text: string) => void;
  /** Called after every step. */
  readonly onStep?: (step: Step) => void;
}

/** One prompt and its completion. */
export interface Completion {
  readonly prompt: string;
  /** The begin-of-text token and the prompt's tokens. */
  readonly promptTokens: readonly number[];
  /** The generated tokens, including a stop token. */
  readonly tokens: readonly number[];
  /** Their text, without a stop token. */
  readonly completion: string;
  /** "stop" after a stop token, "length" after maxGenLen tokens. */
  readonly stopReason: StopReason;
}

/** Meta's defaults, and a seed. */
export const DEFAULTS = { maxGenLen: 64, temperature: 0.6, topP: 0.9, seed: 0, useCache: true } as const;

/**
 * Completes a batch of prompts.
 *
 *     const [tale] = await generate(model, tokenizer, ["Once upon a time"], { useCache: false });
 *
 * @throws what `steps` throws
 */
export async function generate(
  model: Model,
  tokenizer: Tokenizer,
  prompts: readonly string[],
  { onText, onStep, ...options }: GenerateOptions = {},
): Promise<Completion[]> {
  const collectors = prompts.map((prompt) => new Collector(prompt, tokenizer));
  const ids = collectors.map(({ promptTokens }) => promptTokens);
  for await (const step of steps(model, ids, { ...DEFAULTS, ...options, stopIds: tokenizer.stopIds })) {
    for (const [i, { id, source, stopReason }] of step.next.entries()) {
      if (source !== "model") continue;
      const text = collectors[i]!.push(id, stopReason);
      if (text) onText?.(i, text);
    }
    onStep?.(step);
  }
  return collectors.map((collector) => collector.result());
}

/** Collects the tokens and the text of one sequence. */
class Collector {
  readonly promptTokens: readonly number[];
  private readonly stream: TextStream;
  private readonly tokens: number[] = [];
  private completion = "";
  private stopReason: StopReason = "length";

  constructor(
    private readonly prompt: string,
    tokenizer: Tokenizer,
  ) {
    this.promptTokens = tokenizer.encode(prompt);
    this.stream = new TextStream(tokenizer);
  }

  /** Adds the next token; returns the text that it completes. */
  push(id: number, stopReason: StopReason | undefined): string {
    this.tokens.push(id);
    let text = stopReason === "stop" ? "" : this.stream.push(id);
    if (stopReason) {
      text += this.stream.end();
      this.stopReason = stopReason;
    }
    this.completion += text;
    return text;
  }

  result(): Completion {
    const { prompt, promptTokens, tokens, completion, stopReason } = this;
    return { prompt, promptTokens, tokens, completion, stopReason };
  }
}
