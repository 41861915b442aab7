import { basename } from "node:path";
import pc from "picocolors";
import { Lockstep } from "../lecture/lockstep.js";
import { type Trace, TRACE_FORMAT, type Turn } from "../lecture/trace.js";
import { traceToJson, wordsOf as wordsOfIds } from "../lecture/trace-file.js";
import { InputError, type Step } from "../src/index.js";
import type { Tokenizer } from "../src/tokenizer/tokenizer.js";
import { main, whole, wholes } from "./cli.js";
import { LECTURE_PROMPTS } from "./lecture-prompts.js";
import { type GenerationOptions, generationCommand } from "./model-options.js";
import { open } from "./open-model.js";
import { count, jsonOf, type Word, wrapWords } from "./terminal.js";
import { checkWritable, fileName, writeWhole } from "./write-file.js";

interface Options extends GenerationOptions {
  readonly iterations: number;
  readonly json?: string;
  readonly layers: number[];
}

const program = generationCommand(
  "trace",
  "Shows what each turn of the loop feeds to the model and what comes out, with the KV cache and without.",
  { temperature: 0 },
)
  .option("--iterations <n>", "how many turns of the loop to show", whole(), 3)
  .option("--json <file>", "record the whole generation, for the lecture's page to replay", fileName)
  .option(
    "--layers <list>",
    "with --json: also keys, values and attention of these layers (0,5)",
    wholes(0),
    [],
  );

await main<Options>(program, async (given, signal) => {
  const { prompt = LECTURE_PROMPTS, iterations, json, layers, ...options } = given;
  if (layers.length > 0 && !json)
    throw new InputError("--layers is for the recorded trace, expected --json too");
  if (json) await checkWritable(json);
  const { backend, model, tokenizer } = await open(options);
  const { config } = model;
  for (const layer of layers) {
    if (layer < config.nLayers) continue;
    throw new InputError(`--layers has ${layer}, expected layers from 0 to ${config.nLayers - 1}`);
  }
  const prompts = prompt.map((text) => ({ text, ids: tokenizer.encode(text) }));
  const ids = prompts.map((one) => one.ids);

  console.log(`${count(prompts.length, "prompt")}, on ${backend.description}`);
  for (const [row, tokens] of ids.entries()) {
    const words = wordsOf(tokenizer, tokens).map((text) => ({ text, mark: String }));
    console.log(`  row ${row}: ${`${tokens.length}`.padStart(3)} tokens  ${wrapWords(words, 21)}`);
  }
  const legend = [...past(["past", "tokens,"]), ...fresh(["new", "tokens"])].map(({ text, mark }) =>
    mark(text),
  );
  console.log(`legend: ${legend.join(" ")}, and after → what stands at cur_pos`);

  const both = new Lockstep(model, ids, { ...options, stopIds: tokenizer.stopIds, signal }, layers);
  const turns: Turn[] = [];
  const most = json ? Infinity : iterations;
  try {
    while (turns.length < most) {
      const turn = await both.turn();
      if (!turn) break;
      turns.push(turn);
      const { cached, uncached } = turn;
      if (turns.length > iterations || !cached || !uncached) continue;
      console.log(`\n${pc.bold(`Iteration ${cached.iteration}`)}`);
      print("With the KV cache", cached, cached.prevPos);
      print("Without", uncached, cached.prevPos); // what the cache would have spared it: everything before that
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
    words: wordsOfIds(tokenizer, prompts, turns),
    turns,
  };
  await writeWhole(json, `${traceToJson(trace)}\n`);
  console.log(`\nrecorded ${count(turns.length, "turn")} in ${json}`);

  /** @param newFrom the position from which on the fed tokens are new; those before are past ones, fed again */
  function print(mode: string, { prevPos, curPos, inputIds, next }: Step, newFrom: number): void {
    const each = curPos - prevPos === 1 ? "1 token" : `${curPos - prevPos} tokens`;
    console.log(`  ${mode}: prev_pos:cur_pos = ${prevPos}:${curPos}, ${each} a row`);
    for (const [row, tokens] of inputIds.entries()) {
      const [old, now] = [tokens.slice(0, newFrom - prevPos), tokens.slice(newFrom - prevPos)];
      const numbers = [...past(old.map(String)), ...fresh(now.map(String))];
      const words = [...past(wordsOf(tokenizer, old)), ...fresh(wordsOf(tokenizer, now))];
      const { id, source } = next[row]!;
      const origin = { model: "chosen by the model", prompt: "its own prompt", padding: "row has ended" }[
        source
      ];
      console.log(`    row ${row}  ${wrapWords(numbers, 11)}`);
      console.log(`           ${wrapWords(words, 11)}`);
      console.log(`           → ${id} ${quoted(tokenizer, [id])} (${origin})`);
    }
  }
});

/** Past tokens are pink and new ones red, as in the source document; without colour, new ones are in brackets. */
function past(words: string[]): Word[] {
  return words.map((text) => ({ text, mark: pc.magentaBright }));
}

function fresh(words: string[]): Word[] {
  const [first, last] = pc.isColorSupported ? ["", ""] : ["[", "]"];
  return words.map((text, i) => ({
    text: (i === 0 ? first : "") + text + (i === words.length - 1 ? last : ""),
    mark: (word) => pc.bold(pc.red(word)),
  }));
}

function wordsOf(tokenizer: Tokenizer, ids: readonly number[]): string[] {
  return ids.length > 0 ? quoted(tokenizer, ids).split(" ") : [];
}

function quoted(tokenizer: Tokenizer, ids: readonly number[]): string {
  return jsonOf(tokenizer.decode(ids));
}
