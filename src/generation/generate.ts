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
  const texts = prompts.map(() => new TextStream(tokenizer));
  const completions = prompts.map((prompt) => ({
    prompt,
    promptTokens: tokenizer.encode(prompt),
    tokens: [] as number[],
    completion: "",
    stopReason: "length" as StopReason,
  }));
  const ids = completions.map(({ promptTokens }) => promptTokens);
  for await (const step of steps(model, ids, { ...DEFAULTS, ...options, stopIds: tokenizer.stopIds })) {
    for (const [i, { id, source, stopReason }] of step.next.entries()) {
      if (source !== "model") continue;
      const sequence = completions[i]!;
      sequence.tokens.push(id);
      let text = stopReason === "stop" ? "" : texts[i]!.push(id);
      if (stopReason) {
        text += texts[i]!.end();
        sequence.stopReason = stopReason;
      }
      sequence.completion += text;
      if (text) onText?.(i, text);
    }
    onStep?.(step);
  }
  return completions;
}
