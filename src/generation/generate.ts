import type { Model } from "../model/model.js";
import { TextStream, type Tokenizer } from "../tokenizer/tokenizer.js";
import { type Step, type StepOptions, type StopReason, steps } from "./steps.js";

/** What can be asked of `generate`, each with a default. */
export interface GenerateOptions extends Partial<Omit<StepOptions, "stopIds">> {
  /** Called with each piece of text as soon as its last byte is there; a character is never torn. */
  readonly onText?: (row: number, text: string) => void;
  /** Called after every turn of the loop. */
  readonly onStep?: (step: Step) => void;
}

/** One prompt, and what the model made of it. */
export interface Completion {
  readonly prompt: string;
  /** Begin-of-text and the prompt's tokens. */
  readonly promptTokens: readonly number[];
  /** The generated ids, a stop token included. */
  readonly tokens: readonly number[];
  /** Their text, without the stop token. */
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
  const rows = prompts.map((prompt) => new CompletionRow(prompt, tokenizer));
  const stepOptions: StepOptions = { ...DEFAULTS, ...options, stopIds: tokenizer.stopIds };
  for await (const step of steps(
    model,
    rows.map((row) => row.promptTokens),
    stepOptions,
  )) {
    for (const [row, { id, source, stopReason }] of step.next.entries()) {
      if (source !== "model") continue;
      const text = rows[row]!.push(id, stopReason);
      if (text) onText?.(row, text);
    }
    onStep?.(step);
  }
  return rows.map((row) => row.result());
}

/** Collects one row's tokens and text. */
class CompletionRow {
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

  /** Takes the next token; returns the text that it completes. */
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
