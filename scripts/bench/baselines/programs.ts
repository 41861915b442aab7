import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadConfig } from "../../../src/checkpoint/load.js";
import { InputError } from "../../../src/index.js";
import { lastLine, run } from "../../../src/util/run-command.js";
import type { Execution } from "../case.js";
import { readResults } from "../results-file.js";
import { type CaseOptions, runCases } from "../run-cases.js";
import { type Provenance, transformersSchema } from "../schema.js";
import { ourCase, type RoundCase } from "./compare.js";
import { NODE_LLAMA_CPP } from "./installs.js";
import type { LlamaCppTask } from "./llama-cpp-child.js";

/** The conditions that all programs share. */
export interface Conditions {
  /** A checkpoint that all of them read. */
  readonly checkpoint: string;
  readonly threads: number;
  /** For temporary files. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** The cases of one round. */
export interface Round {
  readonly batch: number;
  readonly input: number;
  readonly output: number;
  readonly mode: CaseOptions["mode"];
}

/** A program that is compared: it runs the cases of a round once, in processes of their own. */
export interface BaselineProgram {
  measure(round: Round): Promise<readonly RoundCase[]>;
  /** Known after the first round. */
  versions: Record<string, string>;
  backends?: Provenance["backends"];
}

/** This project. */
export function ours(
  conditions: Conditions,
  backend: string,
  execution: readonly Execution[],
): BaselineProgram {
  const { checkpoint, signal } = conditions;
  const common = { checkpoint, backend, device: "cpu", tf32: "off", execution } as const;
  const program: BaselineProgram = {
    versions: {},
    async measure({ batch, input, output, mode }) {
      const options = { ...common, batch: [batch], input: [input], output: [output], mode };
      const results = await runCases(options, { runs: 1, seconds: Infinity }, [], signal);
      signal.throwIfAborted();
      const reason = results ? results.failed[0]?.reason : "the model could not be loaded";
      if (!results || reason !== undefined) throw new InputError(`this project failed: ${reason}`);
      program.backends = results.backends;
      return results.cases.map(ourCase);
    },
  };
  return program;
}

/** Hugging Face transformers, with eager and with SDPA attention. */
export function transformers(conditions: Conditions, python: string): BaselineProgram {
  const out = join(conditions.directory, "transformers.json");
  const fixed = {
    device: "cpu",
    threads: conditions.threads,
    attention: "eager,sdpa",
    checkpoint: conditions.checkpoint,
    out,
  };
  const program: BaselineProgram = {
    versions: {},
    async measure(round) {
      const words = Object.entries({ ...fixed, ...round, repeat: 1 }).flatMap(([name, value]) => [
        `--${name}`,
        `${value}`,
      ]);
      await execute(python, ["transformers_baseline.py", ...words], conditions);
      const { torch, transformers: version, cases } = readResults(out, transformersSchema);
      program.versions = { torch, transformers: version };
      return cases.map(({ attention, dtype: _, tf32: __, peakBytes: ___, ...one }) => ({
        by: `transformers, ${attention}`,
        ...one,
      }));
    },
  };
  return program;
}

/**
 * llama.cpp, through npm's node-llama-cpp. It has no mode without its cache.
 *
 * @param module node-llama-cpp's
 */
export async function llamaCpp(
  conditions: Conditions,
  module: string,
  python: string,
): Promise<BaselineProgram> {
  const { checkpoint, directory, threads } = conditions;
  const [model, out] = ["model.gguf", "llama.cpp.json"].map((name) => join(directory, name)) as [
    string,
    string,
  ];
  await execute(python, ["write_gguf.py", checkpoint, model], conditions);
  const { vocabSize } = await loadConfig(checkpoint);
  return {
    versions: { "llama.cpp": `node-llama-cpp ${NODE_LLAMA_CPP}` },
    async measure({ batch, input, output, mode }) {
      if (mode === "uncached") return [];
      const task: LlamaCppTask = { module, model, vocabSize, threads, batch, input, output, out };
      await execute(process.execPath, ["llama-cpp-child.ts", JSON.stringify(task)], conditions, [
        "--import",
        "tsx",
      ]);
      return [JSON.parse(await readFile(out, "utf8")) as RoundCase];
    },
  };
}

/** Writes a checkpoint of random weights that all programs read. */
export function writeCheckpoint(conditions: Conditions, config: string, python: string): Promise<void> {
  const words = ["--write", conditions.checkpoint, "--config", config, "--device", "cpu"];
  return execute(python, ["transformers_baseline.py", ...words], conditions);
}

/** Runs a script of this folder. */
async function execute(
  program: string,
  [script, ...args]: readonly [string, ...string[]],
  { signal }: Conditions,
  before: readonly string[] = [],
): Promise<void> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const { ok, end, stderr } = await run(program, [...before, file, ...args], process.env, signal);
  if (!ok) throw new InputError(`${file} ended with ${end} ("${lastLine(stderr)}")`);
}
