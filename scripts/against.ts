import { mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { machineFacts } from "../src/engine/machine.js";
import { run } from "../src/engine/setup/command.js";
import { InputError } from "../src/index.js";
import {
  acrossRounds,
  type AgainstCell,
  type AgainstResults,
  fromBench,
  type PeerFile,
  ratios,
} from "./against/cells.js";
import { ownPython } from "./against/python.js";
import type { BenchResults } from "./bench/cell.js";
import { currentCommit } from "./bench/results.js";
import { checkWhole, checkWritable, main, number, writeResults } from "./cli.js";

interface Options {
  readonly config: string;
  readonly batch: string;
  readonly repeat: number;
  readonly engine: string;
  readonly execution: string;
  readonly python?: string;
  readonly json?: string;
}

const root = fileURLToPath(new URL("..", import.meta.url));

const program = new Command("npm run against --")
  .description(
    "Measures this project and Hugging Face transformers (eager and SDPA attention, use_cache on and off) in one run: " +
      "same machine, threads, weights and prompts, taking turns. Installs PyTorch in an environment of its own, 8 GB on Linux, or " +
      "uses yours.",
  )
  .helpOption("-h, --help", "show this help")
  .configureHelp({ helpWidth: 80 })
  .addOption(
    new Option("--config <name>", "whose sizes")
      .choices(["smollm2-135m", "llama-3.2-1b"])
      .default("smollm2-135m"),
  ) // prettier-ignore
  .option("--batch <sizes>", "batch sizes, with commas", "1,8")
  .option("--repeat <n>", "rounds: every one of them runs each cell once, in turn", number, 3)
  .option("--engine <name>", "ours", "tensorflow")
  .option("--execution <ways>", "ours, with commas", "eager,recorded")
  .option("--python <path>", "a Python that has torch and transformers; nothing is installed then")
  .option("--json <file>", "write the results to a file");

await main<Options>(program, async ({ config, batch, repeat, engine, execution, python, json }, signal) => {
  checkWhole("repeat", repeat);
  if (json) await checkWritable(json);
  const interpreter = python ?? (await ownPython(signal));
  const directory = await mkdtemp(join(tmpdir(), "against-"));
  const threads = availableParallelism();

  const command = async (program_: string, args: readonly string[]) => {
    const env = { ...process.env, OMP_NUM_THREADS: `${threads}`, MKL_NUM_THREADS: `${threads}`, CUDA_VISIBLE_DEVICES: "-1" }; // prettier-ignore
    const { ok, end, stderr } = await run(program_, args, env, signal);
    if (!ok) throw new InputError(`${program_} ${args[0]} ended with ${end}:\n${stderr.trim()}`);
  };
  const read = async <Content>(file: string) => JSON.parse(await readFile(file, "utf8")) as Content;

  try {
    const checkpoint = join(directory, config);
    await command(interpreter, [join(root, "scripts/peer.py"), "--write", checkpoint, "--config", config, "--device", "cpu"]); // prettier-ignore
    const cells: AgainstCell[] = [];
    let facts = { engine: "", torch: "", transformers: "" };
    for (const size of batch.split(",")) {
      const rounds: AgainstCell[] = [];
      for (let round = 0; round < repeat; round++) {
        const cell = ["--checkpoint", checkpoint, "--batch", size, "--repeat", "1"];
        const [ours, theirs] = [join(directory, "ours.json"), join(directory, "theirs.json")];
        const bench = [
          "--engine",
          engine,
          "--device",
          "cpu",
          "--execution",
          execution,
          "--no-plot",
          "--json",
          ours,
        ];
        await command(process.execPath, [
          "--import",
          "tsx",
          join(root, "scripts/bench.ts"),
          ...bench,
          ...cell,
        ]);
        const peer = [
          "--device",
          "cpu",
          "--threads",
          `${threads}`,
          "--attention",
          "eager,sdpa",
          "--out",
          theirs,
        ];
        await command(interpreter, [join(root, "scripts/peer.py"), ...peer, ...cell]);

        const mine = await read<BenchResults>(ours);
        const other = await read<PeerFile>(theirs);
        facts = { engine: mine.engine.description, torch: other.torch, transformers: other.transformers };
        rounds.push(...mine.cells.map(fromBench));
        for (const { attention, ...rest } of other.cells)
          rounds.push({ ...rest, by: `transformers, ${attention}` });
        console.error(`batch ${size}: round ${round + 1} of ${repeat} is done`);
      }
      const together = acrossRounds(rounds);
      cells.push(...together);
      console.log(ratios(together));
    }
    const results: AgainstResults = {
      date: new Date().toISOString(),
      command: process.argv.slice(2),
      machine: await machineFacts(),
      ...(await currentCommit()),
      ...facts,
      threads,
      model: `${config}, random weights`,
      cells,
    };
    if (json) await writeResults(json, results);
  } finally {
    await rm(directory, { recursive: true });
  }
});
