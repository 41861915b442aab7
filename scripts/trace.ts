import { basename } from "node:path";
import { Option } from "commander";
import pc from "picocolors";
import { Lockstep } from "../lecture/lockstep.js";
import { type StepPair, type Trace, TRACE_FORMAT } from "../lecture/trace.js";
import { tokenStrings, traceToJson } from "../lecture/trace-file.js";
import { InputError, type Step } from "../src/index.js";
import { type CacheOptions, withCache, withCacheKind } from "./cache-options.js";
import { main, integer, integers } from "./cli.js";
import { LECTURE_PROMPTS } from "./lecture-prompts.js";
import { type GenerationOptions, generationCommand } from "./model-options.js";
import { open } from "./open-model.js";
import { count, jsonOf } from "./terminal.js";
import { checkWritable, fileName, writeWhole } from "./write-file.js";

interface Options extends GenerationOptions, CacheOptions {
  readonly iterations: number;
  readonly json?: string;
  readonly layers: number[];
}

const program = generationCommand(
  "trace",
  "Show the input tokens and next tokens of each step, with the KV cache and without.",
  { temperature: 0 },
)
  .option("--iterations <n>", "number of steps to show", integer(), 3)
  .option("--json <file>", "save the whole generation for replay in the lecture's page", fileName)
  .addOption(
    new Option("--layers <list>", "with --json: also save keys, values and attention of these layers (0,5)")
      .argParser(integers(0))
      .default([], "none"),
  );
withCache(program);

await main<Options>(program, async (given, signal) => {
  const { prompt = LECTURE_PROMPTS, iterations, json, layers, ...options } = withCacheKind(given);
  if (layers.length > 0 && !json) throw new InputError("--layers must be used together with --json");
  if (layers.length > 0 && options.cacheKind.type === "sliding") {
    throw new InputError("--layers must be used with a cache that keeps all positions, got --cache sliding");
  }
  if (json) await checkWritable(json);
  const eagerOption = layers.length > 0 ? "--layers" : undefined;
  const length = json ? options.maxGenLen : iterations;
  const work = { tokens: length, batch: prompt.length, cacheKind: options.cacheKind, eagerOption };
  const { backend, model, tokenizer } = await open(options, work);
  const { config } = model;
  for (const layer of layers) {
    if (layer < config.nLayers) continue;
    throw new InputError(`--layers must be from 0 to ${config.nLayers - 1}, got ${layer}`);
  }
  const prompts = prompt.map((text) => ({ text, ids: tokenizer.encode(text) }));
  const ids = prompts.map((one) => one.ids);
  const textOf = (tokens: readonly number[]) => jsonOf(tokenizer.decode(tokens));

  console.log(`${count(prompts.length, "prompt")}, on ${backend.description}`);
  for (const [sequence, tokens] of ids.entries()) {
    console.log(`  sequence ${sequence}: ${`${tokens.length}`.padStart(3)} tokens  ${textOf(tokens)}`);
  }
  console.log(
    `legend: ${pc.magentaBright("past tokens")} ${fresh("new tokens")} → the token at position curPos`,
  );

  const both = new Lockstep(model, ids, { ...options, stopIds: tokenizer.stopIds, signal }, layers);
  const pairs: StepPair[] = [];
  const limit = json ? Infinity : iterations;
  try {
    while (pairs.length < limit) {
      const pair = await both.step();
      if (!pair) break;
      pairs.push(pair);
      const { cached, uncached } = pair;
      if (pairs.length > iterations || !cached || !uncached) continue;
      console.log(`\n${pc.bold(`Iteration ${cached.iteration}`)}`);
      print("With the KV cache", cached, cached.prevPos);
      print("Without", uncached, cached.prevPos); // the cache holds the positions before
    }
  } finally {
    await both.end();
  }
  if (!json) return;
  const { maxGenLen, temperature, topP, seed } = options;
  const trace: Trace = {
    format: TRACE_FORMAT,
    date: new Date().toISOString(),
    model: basename(options.checkpoint),
    config,
    backend: backend.description,
    prompts,
    maxGenLen,
    temperature,
    topP,
    seed,
    layers,
    tokenStrings: tokenStrings(tokenizer, prompts, pairs),
    steps: pairs,
  };
  await writeWhole(json, `${traceToJson(trace)}\n`);
  console.log(`\nsaved ${count(pairs.length, "step")} to ${json}`);

  /** @param newFrom the first position whose token is new; tokens before it are past ones */
  function print(mode: string, { prevPos, curPos, inputIds, next }: Step, newFrom: number): void {
    console.log(
      `  ${mode}: prevPos:curPos = ${prevPos}:${curPos}, ${count(curPos - prevPos, "token")} per sequence`,
    );
    for (const [sequence, tokens] of inputIds.entries()) {
      const [old, now] = [tokens.slice(0, newFrom - prevPos), tokens.slice(newFrom - prevPos)];
      const input = [...(old.length > 0 ? [pc.magentaBright(textOf(old))] : []), fresh(textOf(now))].join(
        " ",
      );
      const { id, source } = next[sequence]!;
      const origin = { model: "from the model", prompt: "from the prompt", padding: "padding token" }[source];
      console.log(`    sequence ${sequence}  ${input} → ${id} ${textOf([id])} (${origin})`);
    }
  }
});

/** New tokens are red and past ones pink, as in the source document; without colour, new ones are in brackets. */
function fresh(text: string): string {
  return pc.isColorSupported ? pc.bold(pc.red(text)) : `[${text}]`;
}
