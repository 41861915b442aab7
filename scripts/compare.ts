import { compareModes, type Step } from "../src/index.js";
import { LOGIT_TOLERANCE } from "../src/generation/compare.js";
import { compareWithPlain } from "./cache-comparison.js";
import { type CacheOptions, withCache, withCacheKind } from "./cache-options.js";
import { main } from "./cli.js";
import { LECTURE_PROMPTS } from "./lecture-prompts.js";
import { type GenerationOptions, generationCommand } from "./model-options.js";
import { open } from "./open-model.js";
import { clearProgress, count, jsonOf, showProgress, verdict } from "./terminal.js";

const description =
  "Generate with and without the KV cache in lockstep and compare tokens and logits. Exits with 0 only if all tokens are " +
  "identical and logits agree to rounding error. Another --cache is compared with the plain one: an exact cache by the " +
  "same rule, a lossy one by its KL divergence.";
const program = withCache(generationCommand("compare", description, { temperature: 0 }));

await main<GenerationOptions & CacheOptions>(
  program,
  async ({ prompt = LECTURE_PROMPTS, ...given }, signal) => {
    const options = withCacheKind(given);
    const work = { tokens: options.maxGenLen, batch: prompt.length, cacheKind: options.cacheKind };
    const { backend, model, tokenizer } = await open(options, work);
    // TF32 keeps 10 of 23 bits of fraction, bfloat16 7.
    const tolerance = LOGIT_TOLERANCE * (options.dtype === "bfloat16" ? 60 : options.tf32 === "on" ? 20 : 1);
    process.exitCode = 1; // until there is a verdict
    const prompts = prompt.map((text) => tokenizer.encode(text));
    const stepOptions = { ...options, stopIds: tokenizer.stopIds, signal };
    const onStep = ({ iteration }: Step) => showProgress(`step ${iteration}`);
    const lengths = prompts.map((ids) => ids.length).join(", ");
    const title = `${count(prompts.length, "prompt")} of ${lengths} tokens, on ${backend.description}`;
    if (options.cacheKind.type !== "plain") {
      const good = await compareWithPlain(model, prompts, stepOptions, { tolerance, title, onStep });
      process.exitCode = good ? 0 : 1;
      return;
    }
    const { steps, tokens, difference, maxLogitDifference } = await compareModes(
      model,
      prompts,
      stepOptions,
      onStep,
    );
    clearProgress();

    console.log(title);
    const largest = `largest logit difference: ${maxLogitDifference.toPrecision(2)}`;
    if (!difference && maxLogitDifference <= tolerance) {
      console.log(`${verdict(true, "identical")}: ${tokens} tokens in ${steps} steps; ${largest}`);
      process.exitCode = 0;
      return;
    }
    if (!difference) {
      console.log(
        `${verdict(false, "different")}: the ${tokens} tokens match, but logits differ by more than rounding error;\n` +
          `  ${largest}, tolerance ${tolerance}`,
      );
      return;
    }
    const { sequence, position, cached, uncached } = difference;
    const tie = [cached.margin, uncached.margin, maxLogitDifference].every((value) => value <= tolerance);
    const token = ({ id, margin }: typeof cached) =>
      `${id} ${jsonOf(tokenizer.decode([id]))}, logit margin ${margin.toPrecision(2)}`;
    console.log(
      `${verdict(false, tie ? "a tie" : "different")}: sequence ${sequence} at position ${position}, in step ${steps}\n` +
        `  with the cache     ${token(cached)}\n` +
        `  without            ${token(uncached)}\n` +
        `  ${largest}, tolerance ${tolerance}` +
        (tie ? ":\n  the two tokens' logits are equal to rounding error, so either may be chosen" : ""),
    );
  },
);
