import pc from "picocolors";
import { steps } from "../src/index.js";
import { parameterCount } from "../src/cost/cost.js";
import { main } from "./cli.js";
import {
  type GenerationOptions,
  generationCommand,
  OWN_SAMPLING,
  PROMPT,
  withDefaultsOf,
} from "./model-options.js";
import { open } from "./open-model.js";
import { tell } from "./tell.js";
import { verdict } from "./terminal.js";

const program = generationCommand(
  "start",
  "Generate a short fairy tale with the KV cache, then without, and compare the tokens.",
  { maxGenLen: 180 },
).addHelpText("after", OWN_SAMPLING);

await main<GenerationOptions>(program, async ({ prompt = PROMPT, ...given }, signal) => {
  const work = { tokens: given.maxGenLen, batch: prompt.length };
  const { backend, model, tokenizer, sampling } = await open(given, work);
  const options = withDefaultsOf(sampling, program, given);
  const { config } = model;
  const millions = (parameterCount(config) / 1e6).toFixed(2);
  console.log(`${millions} million parameters, ${config.nLayers} layers, ${backend.description}\n`);

  // Work that is done once belongs to neither mode's time: tracing, compiling, preparing kernels.
  const ids = prompt.map((text) => tokenizer.encode(text));
  for (const useCache of [true, false]) {
    const warmUp = { ...options, useCache, stopIds: tokenizer.stopIds, signal };
    for await (const { iteration } of steps(model, ids, warmUp)) if (iteration === 2) break;
  }

  const tale = async (title: string, useCache: boolean) => {
    console.log(pc.bold(title));
    const told = await tell(model, tokenizer, prompt, { ...options, useCache, signal }, "  ");
    console.log(pc.dim(`  ${told.summary}\n`));
    return { ...told, tokens: told.results.map(({ tokens }) => tokens) };
  };
  const cached = await tale("With the KV cache: each step computes keys and values for one new token", true);
  const uncached = await tale("Without it: each step recomputes them for the whole text so far", false);

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
