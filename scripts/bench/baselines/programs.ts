import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "../../../src/index.js";
import { lastLine, run } from "../../../src/util/run-command.js";
import { readResults } from "../results-file.js";
import { type CaseOptions, runCases } from "../run-cases.js";
import { type Provenance, transformersSchema } from "../schema.js";
import { ourCase, type RoundCase } from "./compare.js";

/** The conditions that all programs share. */
export interface Conditions {
  /** A checkpoint that all of them read. */
  readonly checkpoint: string;
  readonly threads: number;
  /** A Python with the packages of both baselines. */
  readonly python: string;
  /** For temporary files. */
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Filled in by the programs. */
  readonly versions: Record<string, string>;
  backends?: Provenance["backends"];
}

/** The cases of one round. */
export type Round = { readonly batch: number; readonly input: number; readonly output: number } & Pick<
  CaseOptions,
  "mode"
>;

/** Runs the cases of a round once, in processes of their own. */
export type BaselineProgram = (round: Round) => Promise<readonly RoundCase[]>;

/** This project. */
export const ours =
  (
    conditions: Conditions,
    { backend, execution }: Pick<CaseOptions, "backend" | "execution">,
  ): BaselineProgram =>
  async ({ batch, input, output, mode }) => {
    const { checkpoint, signal } = conditions;
    const sizes = { batch: [batch], input: [input], output: [output] };
    const options = { checkpoint, backend, device: "cpu", tf32: "off", execution, mode, ...sizes } as const;
    const results = await runCases(options, 1, signal);
    signal.throwIfAborted();
    const reason = results.failed[0]?.reason;
    if (reason !== undefined) throw new InputError(`this project failed: ${reason}`);
    conditions.backends = results.backends;
    return results.cases.map(ourCase);
  };

/** Hugging Face transformers, with eager and with SDPA attention. */
export const transformers =
  (conditions: Conditions): BaselineProgram =>
  async (round) => {
    const { directory, threads, checkpoint, versions } = conditions;
    const out = join(directory, "transformers.json");
    const attention = "eager,sdpa";
    const options = { device: "cpu", threads, attention, checkpoint, out, repeat: 1, ...round };
    await runPython(conditions, "transformers_baseline.py", options);
    const { torch, transformers: version, cases } = readResults(out, transformersSchema);
    Object.assign(versions, { torch, transformers: version });
    return cases.map(({ attention: by, useCache, batch, input, output, ...one }) => {
      const { seconds, firstTokenMs, stepMs, samples, tokensSha256 } = one;
      const sizes = { useCache, batch, input, output };
      const measured = { seconds, firstTokenMs, stepMs, samples, tokensSha256 };
      return Object.assign({ by: `transformers, ${by}` }, sizes, measured);
    });
  };

/** llama.cpp. It has no mode without its cache. */
export const llamaCpp =
  (conditions: Conditions): BaselineProgram =>
  async ({ mode, ...sizes }) => {
    if (mode === "uncached") return [];
    const { directory, threads, checkpoint, versions } = conditions;
    const out = join(directory, "llama.cpp.json");
    await runPython(conditions, "llama_cpp_baseline.py", { checkpoint, out, threads, ...sizes });
    const result = JSON.parse(await readFile(out, "utf8")) as { version: string; case: RoundCase };
    versions["llama.cpp"] = result.version;
    return [result.case];
  };

/** Writes a checkpoint of random weights that all programs read. */
export const writeCheckpoint = (conditions: Conditions, config: string): Promise<void> =>
  runPython(conditions, "transformers_baseline.py", { write: conditions.checkpoint, config, device: "cpu" });

/** Runs a script of this folder. */
async function runPython({ signal, python }: Conditions, script: string, options: object): Promise<void> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const { ok, end, stderr } = await run(python, [file, ...words], process.env, signal);
  if (!ok) throw new InputError(`${file} ended with ${end} ("${lastLine(stderr)}")`);
}
