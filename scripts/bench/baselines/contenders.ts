import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { lastLine, run } from "../../../src/util/run-command.js";
import { InputError } from "../../../src/index.js";
import { loadConfig } from "../../../src/checkpoint/load.js";
import type { BenchResults } from "../case.js";
import { type AgainstCell, fromBench, type PeerFile } from "./cells.js";
import { NODE_LLAMA_CPP } from "./installs.js";

/** Everybody gets the same. */
export interface Terms {
  /** A checkpoint that this project and transformers read. */
  readonly checkpoint: string;
  readonly threads: number;
  /** Where results may be left. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** The cells that are run next: of both modes or of one. */
export interface Next {
  readonly batch: number;
  readonly input: number;
  readonly output: number;
  readonly mode: "both" | "cached" | "uncached";
}

/** One of those who are compared. */
export interface Contender {
  /** Runs some cells once, in processes of their own. */
  measure(next: Next): Promise<readonly AgainstCell[]>;
  /** Facts for the results; known after the first cells. */
  readonly facts: Readonly<Record<string, string>>;
}

/** This project: its bench, with one run of each cell. */
export function ours(terms: Terms, backend: string, execution: string): Contender {
  const facts: Record<string, string> = {};
  const out = join(terms.directory, "ours.json");
  const how = ["--backend", backend, "--device", "cpu", "--execution", execution, "--checkpoint", terms.checkpoint, "--no-plot", "--json", out]; // prettier-ignore
  return {
    facts,
    async measure(next) {
      await typescript("../bench.ts", [...how, ...sizesOf(next), ...modeOf(next)], terms);
      const { backend: used, cells } = await readJson<BenchResults>(out);
      facts["backend"] = used.description;
      return cells.map(fromBench);
    },
  };
}

/** Hugging Face transformers, with eager and with SDPA attention. */
export function transformers(terms: Terms, python: string): Contender {
  const facts: Record<string, string> = {};
  const out = join(terms.directory, "transformers.json");
  const how = ["--device", "cpu", "--threads", `${terms.threads}`, "--attention", "eager,sdpa", "--checkpoint", terms.checkpoint, "--out", out]; // prettier-ignore
  return {
    facts,
    async measure(next) {
      await execute(python, script("../peer.py"), [...how, ...sizesOf(next), ...modeOf(next)], terms);
      const { torch, transformers: version, cells } = await readJson<PeerFile>(out);
      Object.assign(facts, { torch, transformers: version });
      return cells.map((cell) => Object.assign(cell, { by: `transformers, ${cell.attention}` }));
    },
  };
}

/**
 * llama.cpp, through npm's node-llama-cpp. It has no way to generate without its cache.
 *
 * @param module node-llama-cpp's
 */
export async function llamaCpp(terms: Terms, module: string, python: string): Promise<Contender> {
  const [model, out] = ["model.gguf", "llama.cpp.json"].map((name) => join(terms.directory, name)) as [string, string]; // prettier-ignore
  await execute(python, script("write_gguf.py"), [terms.checkpoint, model], terms);
  const { vocabSize } = await loadConfig(terms.checkpoint);
  const how = ["--module", module, "--model", model, "--vocabulary", `${vocabSize}`, "--threads", `${terms.threads}`, "--out", out]; // prettier-ignore
  return {
    facts: { llamaCpp: `node-llama-cpp ${NODE_LLAMA_CPP}` },
    async measure(next) {
      if (next.mode === "uncached") return [];
      await typescript("llama-cpp-child.ts", [...how, ...sizesOf(next)], terms);
      return [await readJson<AgainstCell>(out)];
    },
  };
}

/** Writes a checkpoint of random weights that all read. */
export function writeCheckpoint(terms: Terms, config: string, python: string): Promise<void> {
  return execute(python, script("../peer.py"), ["--write", terms.checkpoint, "--config", config, "--device", "cpu"], terms); // prettier-ignore
}

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const sizesOf = ({ batch, input, output }: Next): string[] => ["--batch", `${batch}`, "--input", `${input}`, "--output", `${output}`]; // prettier-ignore
const modeOf = ({ mode }: Next): string[] => ["--mode", mode, "--repeat", "1"];

const typescript = (name: string, args: readonly string[], terms: Terms): Promise<void> =>
  execute(process.execPath, script(name), args, terms, ["--import", "tsx"]);

async function execute(
  program: string,
  file: string,
  args: readonly string[],
  { threads, signal }: Terms,
  before: readonly string[] = [],
): Promise<void> {
  const env = { ...process.env, OMP_NUM_THREADS: `${threads}`, MKL_NUM_THREADS: `${threads}`, CUDA_VISIBLE_DEVICES: "-1" }; // prettier-ignore
  const { ok, end, stderr } = await run(program, [...before, file, ...args], env, signal);
  if (!ok) throw new InputError(`${file} ended with ${end} ("${lastLine(stderr)}")`);
}

const readJson = async <Content>(file: string) => JSON.parse(await readFile(file, "utf8")) as Content;
