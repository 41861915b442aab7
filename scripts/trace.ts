import pc from "picocolors";
import { type Step, steps, type StepOptions, type Tokenizer } from "../src/index.js";
import { checkWhole, type GenerationOptions, generationCommand, main, number, open } from "./cli.js";
import { LECTURE_PROMPTS } from "./lecture-prompts.js";
import { count, type Word, wrapWords } from "./terminal.js";

interface Options extends GenerationOptions {
  readonly iterations: number;
}

const program = generationCommand(
  "trace",
  "Shows what each turn of the loop feeds to the model and what comes out, with the KV cache and without.",
  { temperature: 0 },
).option("--iterations <n>", "how many turns of the loop to show", number, 3);

await main<Options>(program, async ({ prompt = LECTURE_PROMPTS, iterations, ...options }, signal) => {
  checkWhole("iterations", iterations);
  const { engine, model, tokenizer } = await open(options);
  const prompts = prompt.map((text) => tokenizer.encode(text));
  const run = (kvCaching: boolean) => {
    const stepOptions: StepOptions = { ...options, stopIds: tokenizer.stopIds, signal, kvCaching };
    return steps(model, prompts, stepOptions);
  };

  console.log(`${count(prompts.length, "prompt")}, on ${engine.description}`);
  for (const [row, ids] of prompts.entries()) {
    const words = wordsOf(tokenizer, ids).map((text) => ({ text, mark: String }));
    console.log(`  row ${row}: ${`${ids.length}`.padStart(3)} tokens  ${wrapWords(words, 21)}`);
  }
  const legend = [...past(["past", "tokens,"]), ...fresh(["new", "tokens"])].map(({ text, mark }) =>
    mark(text),
  );
  console.log(`legend: ${legend.join(" ")}, and after → what stands at cur_pos`);

  const [cached, uncached] = [run(true), run(false)];
  try {
    for (let shown = 0; shown < iterations; shown++) {
      const [a, b] = [(await cached.next()).value, (await uncached.next()).value];
      if (!a || !b) break;
      console.log(`\n${pc.bold(`Iteration ${a.iteration}`)}`);
      print("With the KV cache", a, a.prevPos);
      print("Without", b, a.prevPos); // what the cache would have spared it: everything before a's prev_pos
    }
  } finally {
    await cached.return();
    await uncached.return();
  }

  /** @param newFrom the position from which on the fed tokens are new; those before are past ones, fed again */
  function print(mode: string, { prevPos, curPos, fed, next }: Step, newFrom: number): void {
    const each = curPos - prevPos === 1 ? "1 token" : `${curPos - prevPos} tokens`;
    console.log(`  ${mode}: prev_pos:cur_pos = ${prevPos}:${curPos}, ${each} a row`);
    for (const [row, ids] of fed.entries()) {
      const [old, now] = [ids.slice(0, newFrom - prevPos), ids.slice(newFrom - prevPos)];
      const numbers = [...past(old.map(String)), ...fresh(now.map(String))];
      const words = [...past(wordsOf(tokenizer, old)), ...fresh(wordsOf(tokenizer, now))];
      const { id, source } = next[row]!;
      const origin = { model: "chosen by the model", prompt: "its own prompt", filler: "row has ended" }[
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
  return JSON.stringify(tokenizer.decode(ids));
}
