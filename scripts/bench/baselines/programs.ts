import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadConfig } from "../../../src/checkpoint/load.js";
import { InputError } from "../../../src/index.js";
import { lastLine, run } from "../../../src/util/run-command.js";
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
  (conditions: Conditions, python: string): BaselineProgram =>
  async (round) => {
    const { directory, threads, checkpoint, versions } = conditions;
    const out = join(directory, "transformers.json");
    const options = { device: "cpu", threads, attention: "eager,sdpa", checkpoint, out, repeat: 1, ...round };
    const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    await execute(conditions, [python], "transformers_baseline.py", ...words);
    const { torch, transformers: version, cases } = readResults(out, transformersSchema);
    Object.assign(versions, { torch, transformers: version });
    return cases.map(
      ({ attention, useCache, batch, input, output, seconds, firstTokenMs, stepMs, ...one }) => ({
        by: `transformers, ${attention}`,
        useCache,
        batch,
        input,
        output,
        seconds,
        firstTokenMs,
        stepMs,
        samples: one.samples,
        tokensSha256: one.tokensSha256,
      }),
    );
  };

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
  const { checkpoint, directory, threads, versions } = conditions;
  const [model, out] = [join(directory, "model.gguf"), join(directory, "llama.cpp.json")];
  await execute(conditions, [python], "write_gguf.py", checkpoint, model);
  const { vocabSize } = await loadConfig(checkpoint);
  versions["llama.cpp"] = `node-llama-cpp ${NODE_LLAMA_CPP}`;
  return async ({ mode, ...sizes }) => {
    if (mode === "uncached") return [];
    const task: LlamaCppTask = { module, model, vocabSize, threads, out, ...sizes };
    await execute(
      conditions,
      [process.execPath, "--import", "tsx"],
      "llama-cpp-child.ts",
      JSON.stringify(task),
    );
    return [JSON.parse(await readFile(out, "utf8")) as RoundCase];
  };
}

/** Writes a checkpoint of random weights that all programs read. */
export const writeCheckpoint = (conditions: Conditions, config: string, python: string): Promise<void> =>
  execute(
    conditions,
    [python],
    "transformers_baseline.py",
    "--write",
    conditions.checkpoint,
    "--config",
    config,
    "--device",
    "cpu",
  );

/** Runs a script of this folder. */
async function execute(
  { signal }: Conditions,
  command: readonly string[],
  script: string,
  ...args: string[]
) {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const [program, ...before] = command as [string, ...string[]];
  const { ok, end, stderr } = await run(program, [...before, file, ...args], process.env, signal);
  if (!ok) throw new InputError(`${file} ended with ${end} ("${lastLine(stderr)}")`);
}
