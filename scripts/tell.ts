import type { GenerateOptions } from "../src/generation/generate.js";
import { generate, type Model } from "../src/index.js";
import type { Tokenizer } from "../src/tokenizer/tokenizer.js";
import { clearProgress, duration, showProgress } from "./terminal.js";
import { WrappedText } from "./wrapped-text.js";

/**
 * Generates texts, prints them and takes the time. A single text is printed as it grows; the texts of a batch grow
 * together, so they are printed at the end.
 *
 * @param indent of the printed lines; undefined prints nothing
 */
export async function tell(
  model: Model,
  tokenizer: Tokenizer,
  prompts: readonly string[],
  options: GenerateOptions,
  indent?: string,
) {
  const text = new WrappedText(indent);
  const streamed = indent !== undefined && prompts.length === 1;
  let unshown = prompts[0]!; // printed with the first token, once the input has been accepted
  const started = performance.now();
  const results = await generate(model, tokenizer, prompts, {
    ...options,
    onText: (_, delta) => {
      if (streamed) text.write(unshown + delta);
      unshown = "";
    },
    onStep: ({ iteration }) => streamed || showProgress(`step ${iteration}`),
  });
  const seconds = (performance.now() - started) / 1000;
  if (!streamed) clearProgress(); // it would erase the last line of a streamed text
  for (const { prompt, completion } of indent === undefined ? [] : results) {
    text.write(streamed ? unshown : prompt + completion);
    text.end();
    if (!streamed) console.log();
  }
  const count = results.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const speed = `${(count / seconds).toFixed(0)} tokens/s`;
  return { results, seconds, count, summary: `${count} tokens in ${duration(seconds)}, ${speed}` };
}
