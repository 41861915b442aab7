import pc from "picocolors";
import { generate, steps } from "../src/index.js";
import { parameterCount } from "../src/cost/cost.js";
import { main } from "./cli.js";
import { type GenerationOptions, generationCommand } from "./model-options.js";
import { open } from "./open-model.js";
import { duration, verdict, WrappedText } from "./terminal.js";

const program = generationCommand(
  "start",
  "Generate a short fairy tale with the KV cache, then without, and compare the tokens.",
  { maxGenLen: 180 },
);

await main<GenerationOptions>(program, async ({ prompt = ["Once upon a time"], ...options }, signal) => {
  const { backend, model, tokenizer } = await open(options);
  const { config } = model;
  const millions = (parameterCount(config) / 1e6).toFixed(2);
  console.log(`${millions} million parameters, ${config.nLayers} layers, ${backend.description}\n`);

  // Work that is done once belongs to neither mode's time: tracing, compiling, preparing kernels.
  const ids = prompt.map((text) => tokenizer.encode(text));
  for (const useCache of [true, false]) {
    const warmUp = { ...options, useCache, stopIds: tokenizer.stopIds, signal };
    for await (const { iteration } of steps(model, ids, warmUp)) if (iteration === 2) break;
  }

  const tell = async (title: string, useCache: boolean) => {
    console.log(pc.bold(title));
    const texts = prompt.map(() => new WrappedText());
    const streamed = prompt.length === 1; // the sequences of a batch grow together: print them at the end
    if (streamed) texts[0]!.write(prompt[0]!);
    const started = performance.now();
    const completions = await generate(model, tokenizer, prompt, {
      ...options,
      useCache,
      signal,
      onText: (row, text) => streamed && texts[row]!.write(text),
    });
    const seconds = (performance.now() - started) / 1000;
    for (const [row, { completion }] of completions.entries()) {
      if (!streamed) texts[row]!.write(prompt[row]! + completion);
      texts[row]!.end();
    }
    const tokens = completions.map((completion) => completion.tokens);
    const count = tokens.flat().length;
    console.log(
      pc.dim(`  ${count} tokens in ${duration(seconds)}, ${(count / seconds).toFixed(0)} tokens/s\n`),
    );
    return { tokens, seconds, count };
  };

  const cached = await tell("With the KV cache: each step computes keys and values for one new token", true);
  const uncached = await tell("Without it: each step recomputes them for the whole text so far", false);

  const identical = JSON.stringify(cached.tokens) === JSON.stringify(uncached.tokens);
  const ratio = (uncached.seconds / cached.seconds).toFixed(1);
  console.log(
    identical
      ? `${verdict(true, "identical")}: both modes generated the same ${cached.count} tokens; ` +
          `${ratio}× faster with the cache`
      : `${verdict(false, "different")}: the modes generated different tokens; npm run compare shows where`,
  );
  if (!identical) process.exitCode = 1;
});
