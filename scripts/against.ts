import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { type Machine, machineFacts } from "../src/engine/machine.js";
import { run } from "../src/engine/setup/command.js";
import { InputError } from "../src/index.js";
import { spread } from "../src/measure.js";
import type { BenchResults, Cell } from "./bench/cell.js";
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
  readonly execution: string;
  readonly python?: string;
  readonly json?: string;
}

/** Whose a cell of ours is; where the step was recorded, that is said after it. */
export const OURS = "this project";

const root = fileURLToPath(new URL("..", import.meta.url));
const PACKAGES = ["torch==2.15.0", "transformers==5.23.0", "safetensors==0.8.0", "numpy==2.4.6"];

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
        rounds.push(
          ...other.cells.map(({ attention, ...rest }) => ({ ...rest, by: `transformers, ${attention}` })),
        );
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

interface PeerFile {
  readonly torch: string;
  readonly transformers: string;
  readonly cells: readonly (AgainstCell & { readonly attention: string })[];
}

function fromBench({
  execution,
  kvCaching,
  batch,
  input,
  output,
  seconds,
  firstTokenMs,
  stepMs,
  tokensSha256,
}: Cell): AgainstCell {
  const by = execution === "eager" ? OURS : `${OURS}, ${execution}`;
  const medians = { seconds: seconds.median, firstTokenMs: firstTokenMs.median, stepMs: stepMs.median };
  return { by, kvCaching, batch, input, output, ...medians, samples: seconds.samples, tokensSha256 };
}

/** Medians over the rounds, of each cell of each. */
function acrossRounds(rounds: readonly AgainstCell[]): AgainstCell[] {
  const keyOf = ({ by, kvCaching }: AgainstCell) => `${by} ${kvCaching}`;
  return [...new Set(rounds.map(keyOf))].map((key) => {
    const same = rounds.filter((cell) => keyOf(cell) === key);
    const median = (of: (cell: AgainstCell) => number) => spread(same.map(of)).median;
    return {
      ...same[0]!,
      seconds: median((cell) => cell.seconds),
      firstTokenMs: median((cell) => cell.firstTokenMs),
      stepMs: median((cell) => cell.stepMs),
      samples: same.flatMap(({ samples }) => samples),
    };
  });
}

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
    const ours = cells.find(({ by, kvCaching }) => by === OURS && kvCaching === cell.kvCaching)!;
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
