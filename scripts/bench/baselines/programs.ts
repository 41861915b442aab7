import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "../../../src/index.js";
import { lastLine, run } from "../../../src/util/run-command.js";
import { readResults } from "../results-file.js";
import type { Case } from "../results.js";
import { type CaseOptions, runCases } from "../run-cases.js";
import { OURS, type RoundCase } from "./compare.js";

/** With the cache, without, or both. */
export type Mode = CaseOptions["mode"];

/** The conditions that all programs share. */
export interface Conditions {
  /** A checkpoint that all programs read. */
  readonly checkpoint: string;
  readonly threads: number;
  readonly mode: Mode;
  /** A Python with the packages of both. */
  readonly python: string;
  readonly signal: AbortSignal;
}

/** The cases of one round by one program, and the program's versions. */
interface Outcome {
  readonly cases: readonly RoundCase[];
  readonly versions: Readonly<Record<string, string>>;
}

/** The file that transformers_baseline.py writes. */
export interface Transformers {
  readonly study: "transformers";
  readonly date: string;
  readonly device: string;
  readonly torch: string;
  readonly transformers: string;
  readonly cases: readonly (RoundCase & { readonly dtype: string; readonly tf32: "on" | "off" })[];
}

/** Runs the cases of a round once in this project. */
export async function ours(
  { checkpoint, mode, signal }: Conditions,
  batch: number,
  execution: CaseOptions["execution"],
) {
  const options = { checkpoint, backend: "tensorflow", device: "cpu", tf32: "off", execution } as const;
  const sizes = { mode, batch: [batch], input: [256], output: [32], repeat: 1 };
  const { backends, cases, failed } = await runCases({ ...options, ...sizes }, signal);
  signal.throwIfAborted();
  if (failed[0]) throw new InputError(`this project failed: ${failed[0].reason}`);
  return { cases: cases.map(ourCase), backends };
}

/** A case of ours as one of a round. */
function ourCase({ execution, seconds, firstTokenMs, stepMs, ...one }: Case): RoundCase {
  const { useCache, batch, input, output, tokensSha256 } = one;
  const by = execution === "eager" ? OURS : `${OURS}, ${execution}`;
  const medians = { seconds: seconds.median, firstTokenMs: firstTokenMs.median, stepMs: stepMs.median };
  return { by, useCache, batch, input, output, ...medians, samples: seconds.samples, tokensSha256 };
}

/** The same in Hugging Face transformers, with eager and with SDPA attention. */
export async function transformers(conditions: Conditions, batch: number): Promise<Outcome> {
  const options = { device: "cpu", attention: "eager,sdpa", repeat: 1, batch, mode: conditions.mode };
  return pyTorchCases(await runPython(conditions, "transformers_baseline.py", options));
}

/** The same in compiled PyTorch, in two ways. */
export async function compiled(conditions: Conditions, batch: number): Promise<Outcome> {
  const options = { device: "cpu", repeat: 1, batch };
  return pyTorchCases(await runPython(conditions, "compiled_baseline.py", options));
}

function pyTorchCases(file: string): Outcome {
  const { torch, transformers: version, cases } = readResults<Transformers>(file, "transformers");
  return { cases, versions: { torch, transformers: version } };
}

/** Compiled PyTorch, on a GPU in all dtypes. */
export async function compiledPeers(
  conditions: Omit<Conditions, "threads" | "mode"> & { readonly device: string },
  batch: readonly number[] = [1, 8, 16],
): Promise<Transformers> {
  const { device } = conditions;
  const options = {
    device,
    programs: "PyTorch",
    batch: batch.join(","),
    dtype: device === "cuda" ? "bfloat16,tf32" : "float32",
  };
  const out = await runPython(conditions, "compiled_baseline.py", options);
  return readResults<Transformers>(out, "transformers");
}

/** The same in llama.cpp. It has no mode without its cache. */
export const llamaCpp = (conditions: Conditions, batch: number): Promise<Outcome> =>
  outcomeOf(conditions, batch, "llama_cpp_baseline.py");

/** The same in onnxruntime, by the loop of onnxruntime-genai. */
export const onnxruntime = (conditions: Conditions, batch: number): Promise<Outcome> =>
  outcomeOf(conditions, batch, "onnxruntime_baseline.py");

/** Runs a script that writes an `Outcome`. */
async function outcomeOf(conditions: Conditions, batch: number, script: string): Promise<Outcome> {
  const out = await runPython(conditions, script, { batch, threads: conditions.threads });
  return JSON.parse(await readFile(out, "utf8")) as Outcome;
}

/** Writes the checkpoint: SmolLM2-135M's sizes, random weights. */
export const writeCheckpoint = (conditions: Conditions): Promise<string> =>
  runPython(conditions, "transformers_baseline.py", {
    write: conditions.checkpoint,
    config: "smollm2-135m",
    device: "cpu",
  });

/** Runs a script of this folder; returns the name of the file that it has written. */
async function runPython(
  { signal, python, checkpoint }: Pick<Conditions, "signal" | "python" | "checkpoint">,
  script: string,
  options: object,
): Promise<string> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const out = join(checkpoint, "..", `${script}.json`);
  const words = Object.entries({ ...options, checkpoint, out }).flatMap(([name, value]) => [
    `--${name}`,
    `${value}`,
  ]);
  const { ok, end, stderr } = await run(python, [file, ...words], process.env, signal);
  if (!ok) throw new InputError(`${file} ended with ${end} ("${lastLine(stderr)}")`);
  return out;
}
