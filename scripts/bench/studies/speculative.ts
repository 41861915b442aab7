import { basename } from "node:path";
import { type Draft, speculate } from "../../../src/generation/speculative.js";
import { InputError, Llama, steps } from "../../../src/index.js";
import { integer, integers } from "../../cli.js";
import { openDraft } from "../../draft.js";
import { command, type ModelOptions } from "../../model-options.js";
import { openBackend, openCheckpoint } from "../../open-model.js";
import { clearProgress, showProgress } from "../../terminal.js";
import { cpuTime, GREEDY, spread } from "../measure.js";
import type { Results, Spread } from "../results.js";
import { jsonOption, printTitle, studyOf } from "../study.js";
import { type Table, tableOf } from "../table.js";

interface Options extends ModelOptions {
  readonly draft: string[];
  readonly guesses: number[];
  readonly output: number;
  readonly repeat: number;
}

/** Beginnings of tales; the bundled model continues nothing else well. */
const PROMPTS = [
  "Once upon a time",
  "There was once a king who had three sons.",
  "A poor woodcutter lived with his wife at the edge of a great forest,",
  "The king said to his youngest daughter,",
];

const description =
  "Counts the calls of the model that speculative decoding needs with several drafts, and its time against the loop " +
  "without one. Exit code 1 unless all choose the same tokens.";
const program = command("bench", description)
  .option(
    "--draft <drafts>",
    "drafts, comma-separated: lookup, a number of layers, own, or a directory",
    (text) => text.split(","),
    ["lookup", "3", "4", "own"],
  )
  .option("--guesses <n>", "guesses in a round, comma-separated", integers(), [2, 4])
  .option("--output <n>", "tokens generated for each prompt", integer(2), 96)
  .option("--repeat <n>", "timed generations of each", integer(), 1)
  .addOption(jsonOption());

interface DraftCase {
  readonly draft: string;
  readonly guesses: number;
  /** Over all prompts. */
  readonly tokens: number;
  readonly calls: number;
  readonly guessed: number;
  readonly accepted: number;
  /** True if the tokens are those of the loop without a draft. */
  readonly identical: boolean;
  /** CPU time divided by that of the loop without a draft, run by run. */
  readonly timeRatio: Spread;
}

/** Speculative decoding with several drafts. */
export interface Speculative extends Results<"speculative"> {
  readonly prompts: readonly string[];
  readonly output: number;
  readonly cases: readonly DraftCase[];
}

/** Compares drafts of speculative decoding with the loop without one. */
export const study = studyOf<Options, Speculative>({
  name: "speculative",
  program,
  async measure(options, signal) {
    const { draft: names, guesses, output, repeat, checkpoint } = options;
    const { backend, model, tokenizer } = await openCheckpoint(options, await openBackend(options));
    if (!(model instanceof Llama)) throw new InputError("--execution must be eager for speculative decoding");
    printTitle(basename(checkpoint), backend);
    const prompts = PROMPTS.map((text) => tokenizer.encode(text));
    const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0) + output;
    const plain = () =>
      overAll(prompts, async (prompt, result) => {
        const loop = { ...GREEDY, maxGenLen: output, useCache: true, signal };
        for await (const { next } of steps(model, [prompt], loop)) result.add([next[0]!.id], 0, 0);
      });
    const drafted = (draft: Draft, count: number) =>
      overAll(prompts, async (prompt, result) => {
        draft.truncate(0);
        const loop = { ...GREEDY, maxGenLen: output, guesses: count, signal };
        for await (const { tokens, guessed, accepted } of speculate(model, prompt, draft, loop))
          result.add(tokens, guessed, accepted);
      });

    await plain(); // warms up
    const cases: DraftCase[] = [];
    for (const name of names) {
      const draft = await openDraft(name, { model, tokenizer, checkpoint, capacity: longest });
      try {
        for (const count of guesses) {
          // Timed alternately, so that whatever slows the machine down slows both.
          const ratios: number[] = [];
          let last: { loop: Counts; own: Counts } | undefined;
          for (let run = 0; run <= repeat; run++) {
            showProgress(`${name}, ${count} guesses: run ${run}`);
            const [loop, own] = [await plain(), await drafted(draft, count)];
            if (run > 0) ratios.push(own.cpuMs / loop.cpuMs); // run 0 warms up
            last = { loop, own };
          }
          const { loop, own } = last!;
          const { calls, guessed, accepted } = own;
          cases.push({
            draft: name,
            guesses: count,
            tokens: own.tokens.length,
            calls,
            guessed,
            accepted,
            identical: `${own.tokens}` === `${loop.tokens}`,
            timeRatio: spread(ratios),
          });
        }
      } finally {
        draft.dispose();
      }
    }
    clearProgress();
    return { backends: [backend], model: basename(checkpoint), prompts: PROMPTS, output, cases };
  },
  tables: ({ cases }) => [draftTable(cases)],
  verdict({ cases }) {
    const different = cases.filter(({ identical }) => !identical);
    const good = different.length === 0;
    return { good, text: good ? "tokens identical" : "tokens different" };
  },
});

/** Drafts, and the calls and time that they need. */
export const draftTable = (cases: readonly DraftCase[]): Table =>
  tableOf(cases, {
    draft: ({ draft }) => (/^\d+$/.test(draft) ? `first ${draft} layers` : draft),
    guesses: ({ guesses }) => `${guesses}`,
    calls: ({ calls }) => `${calls}`,
    "guesses accepted": ({ guessed, accepted }) =>
      `${((100 * accepted) / Math.max(1, guessed)).toFixed(0)} %`,
    "tokens per call": ({ tokens, calls }) => (tokens / calls).toFixed(2),
    "CPU time": ({ timeRatio }) => `${timeRatio.median.toFixed(2)}x`,
  });

/** Counts over all prompts. */
class Counts {
  readonly tokens: number[] = [];
  calls = 0;
  guessed = 0;
  accepted = 0;
  cpuMs = 0;

  add(tokens: readonly number[], guessed: number, accepted: number): void {
    this.tokens.push(...tokens);
    this.calls++;
    this.guessed += guessed;
    this.accepted += accepted;
  }
}

async function overAll(
  prompts: readonly (readonly number[])[],
  generate: (prompt: readonly number[], counts: Counts) => Promise<void>,
): Promise<Counts> {
  const counts = new Counts();
  counts.cpuMs = await cpuTime(async () => {
    for (const prompt of prompts) await generate(prompt, counts);
  });
  return counts;
}
