import { compareModes } from "../src/index.js";
import { ROUNDING } from "../src/generation/compare.js";
import { main } from "./cli.js";
import { LECTURE_PROMPTS } from "./lecture-prompts.js";
import { type GenerationOptions, generationCommand } from "./model-options.js";
import { open } from "./open-model.js";
import { clearStep, count, jsonOf, showStep, verdict } from "./terminal.js";

const program = generationCommand(
  "compare",
  "Generates with and without the KV cache in lockstep and compares tokens and scores. Exits with 0 only if all tokens are identical and the scores agree to rounding.",
  { temperature: 0 },
);

await main<GenerationOptions>(program, async ({ prompt = LECTURE_PROMPTS, ...options }, signal) => {
  const { backend, model, tokenizer } = await open(options);
  // TF32 keeps 10 of 23 bits of fraction, bfloat16 7.
  const rounding = ROUNDING * (options.dtype === "bfloat16" ? 60 : options.tf32 === "on" ? 20 : 1);
  process.exitCode = 1; // until there is a verdict
  const prompts = prompt.map((text) => tokenizer.encode(text));
  const { steps, tokens, difference, maxLogitDifference } = await compareModes(
    model,
    prompts,
    { ...options, stopIds: tokenizer.stopIds, signal },
    ({ iteration }) => showStep(iteration),
  );
  clearStep();

  console.log(
    `${count(prompts.length, "prompt")} of ${prompts.map((ids) => ids.length).join(", ")} tokens, on ${backend.description}`,
  );
  const largest = `largest difference of any score: ${maxLogitDifference.toPrecision(2)}`;
  if (!difference && maxLogitDifference <= rounding) {
    console.log(`${verdict(true, "identical")}: ${tokens} tokens in ${steps} steps; ${largest}`);
    process.exitCode = 0;
    return;
  }
  if (!difference) {
    console.log(
      `${verdict(false, "not the same computation")}: the ${tokens} tokens are identical, by luck;\n` +
        `  ${largest}, and rounding explains ${rounding} at most`,
    );
    return;
  }
  const { row, position, cached, uncached } = difference;
  const tie = cached.gap <= rounding && uncached.gap <= rounding && maxLogitDifference <= rounding;
  const token = ({ id, gap }: typeof cached) =>
    `${id} ${jsonOf(tokenizer.decode([id]))}; its two best scores are ${gap.toPrecision(2)} apart`;
  console.log(
    `${verdict(false, tie ? "a tie" : "different")}: row ${row} at position ${position}, in step ${steps}\n` +
      `  with the cache     ${token(cached)}\n` +
      `  without            ${token(uncached)}\n` +
      `  ${largest}, and rounding explains ${rounding} at most` +
      (tie
        ? ":\n  the two tokens are as good as equal, and rounding decides between them; no bug is seen"
        : ""),
  );
});
