import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { type Machine, machineFacts } from "../src/engine/machine.js";
import { run } from "../src/engine/setup/command.js";
import { InputError } from "../src/index.js";
import type { BenchResults } from "./bench/cell.js";
import { currentCommit } from "./bench/results.js";
import { alignedTable } from "./bench/table.js";
import { checkWhole, checkWritable, main, number, writeResults } from "./cli.js";

/** One cell of ours or of another's; `by` says whose. */
export interface AgainstCell {
  readonly by: string;
  readonly kvCaching: boolean;
  readonly batch: number;
  readonly input: number;
  readonly output: number;
  readonly seconds: number;
  readonly firstTokenMs: number;
  readonly stepMs: number;
  readonly samples: readonly number[];
  readonly tokensSha256: string;
}

/** What `npm run against` writes. */
export interface AgainstResults {
  readonly date: string;
  readonly command: readonly string[];
  readonly machine: Machine;
  readonly commit: string | null;
  readonly changed: boolean | null;
  readonly engine: string;
  readonly torch: string;
  readonly transformers: string;
  readonly threads: number;
  readonly model: string;
  readonly cells: readonly AgainstCell[];
}

interface Options {
  readonly config: string;
  readonly batch: string;
  readonly repeat: number;
  readonly engine: string;
  readonly python?: string;
  readonly json?: string;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const PACKAGES = ["torch==2.15.0", "transformers==5.23.0", "safetensors==0.8.0", "numpy==2.4.6"];

const program = new Command("npm run against --")
  .description(
    "Measures this project and Hugging Face transformers (eager and SDPA attention, use_cache on and off) in one run: " +
      "same machine, threads, weights and prompts. Installs PyTorch in an environment of its own, 8 GB on Linux, or " +
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
  .option("--repeat <n>", "measured runs of each cell", number, 3)
  .option("--engine <name>", "ours", "tensorflow")
  .option("--python <path>", "a Python that has torch and transformers; nothing is installed then")
  .option("--json <file>", "write the results to a file");

await main<Options>(program, async ({ config, batch, repeat, engine, python, json }, signal) => {
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
      const ours = join(directory, "ours.json");
      const cell = ["--batch", size, "--repeat", `${repeat}`];
      const bench = [
        "--import",
        "tsx",
        join(root, "scripts/bench.ts"),
        "--engine",
        engine,
        "--device",
        "cpu",
      ];
      await command(process.execPath, [
        ...bench,
        "--checkpoint",
        checkpoint,
        ...cell,
        "--no-plot",
        "--json",
        ours,
      ]);
      const mine = await read<BenchResults>(ours);
      for (const { seconds, firstTokenMs, stepMs, ...rest } of mine.cells) {
        const { kvCaching, input, output, tokensSha256 } = rest;
        cells.push({ by: "this project", kvCaching, batch: rest.batch, input, output, seconds: seconds.median, firstTokenMs: firstTokenMs.median, stepMs: stepMs.median, samples: seconds.samples, tokensSha256 }); // prettier-ignore
      }
      const theirs = join(directory, "theirs.json");
      const peer = [
        join(root, "scripts/peer.py"),
        "--out",
        theirs,
        "--device",
        "cpu",
        "--threads",
        `${threads}`,
      ];
      await command(interpreter, [...peer, "--checkpoint", checkpoint, "--attention", "eager,sdpa", ...cell]);
      const other = await read<{ torch: string; transformers: string; cells: (AgainstCell & { attention: string })[] }>(theirs); // prettier-ignore
      for (const { attention, ...rest } of other.cells)
        cells.push({ ...rest, by: `transformers, ${attention}` });
      facts = { engine: mine.engine.description, torch: other.torch, transformers: other.transformers };
      console.log(ratios(cells.filter((one) => one.batch === Number(size))));
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

/** An environment of our own, made on the first call. */
async function ownPython(signal: AbortSignal): Promise<string> {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const directory = join(cache, "kv-cache-lecture", "against");
  const python = join(directory, "bin", "python");
  if (existsSync(join(directory, "complete"))) return python;
  const steps: [string, string[]][] = [
    ["python3", ["-m", "venv", directory]],
    [python, ["-m", "pip", "install", ...PACKAGES]],
    [
      python,
      ["-c", `import torch, transformers; open(${JSON.stringify(join(directory, "complete"))}, "w").close()`],
    ],
  ];
  for (const [program_, args] of steps) {
    console.error(`${program_} ${args.join(" ")} …`);
    const { ok, end, stderr } = await run(program_, args, process.env, signal);
    if (!ok) throw new InputError(`installing PyTorch in ${directory} failed with ${end}:\n${stderr.trim()}`);
  }
  return python;
}

/** Seconds of each, and how many times ours. */
function ratios(cells: readonly AgainstCell[]): string {
  const rows = cells.map((cell) => {
    const ours = cells.find(({ by, kvCaching }) => by === "this project" && kvCaching === cell.kvCaching)!;
    return [
      `${cell.batch}`,
      cell.kvCaching ? "with" : "without",
      cell.by,
      cell.seconds.toFixed(2),
      (cell.seconds / ours.seconds).toFixed(2),
      cell.firstTokenMs.toFixed(0),
      cell.stepMs.toFixed(1),
      cell.tokensSha256 === ours.tokensSha256 ? "the same" : "others",
    ];
  });
  const head = [["", "batch"], ["KV", "cache"], ["", "by"], ["", "time s"], ["times", "ours"], ["first", "ms"], ["step", "ms"], ["", "tokens"]] as const; // prettier-ignore
  return alignedTable({ head, rows });
}
