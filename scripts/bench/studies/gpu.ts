import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { temporaryDirectory } from "../../../src/util/file-system.js";
import { lastLine, run } from "../../../src/util/run-command.js";
import { choice, integer, integers } from "../../cli.js";
import { CONFIGS } from "../../model-options.js";
import { fileName } from "../../write-file.js";
import { compiledPeers } from "../baselines/programs.js";
import { executionOptions } from "../case.js";
import { contextTable, firstTokenTable, type Gpu, gpuTable, peerTable } from "../gpu-tables.js";
import { headerOf, readResults } from "../results-file.js";
import type { CaseResults, Measured } from "../results.js";
import { type CaseOptions, runCases } from "../run-cases.js";
import { batchOption, executionOption, jsonOption, modeOption, studyOf } from "../study.js";
import { measureFirstToken } from "../first-token.js";
import { type HostTime, hostTimeTable } from "./host-time.js";

type Options = Pick<CaseOptions, "batch" | "execution" | "mode" | "tf32"> & {
  readonly config: string;
  readonly device: "cuda" | "cpu";
  readonly input: number;
  readonly output: number;
  readonly repeat: number;
  readonly checkpoint?: string;
  readonly context?: number[];
  readonly python?: string;
};

/** Measures a GPU: host time and cases. */
export const study = studyOf<Options, Gpu>({
  name: "gpu",
  program: new Command("npm run bench --")
    .description(
      "Measure an NVIDIA GPU in one go, without network: for each execution the cases of the bench and the host time " +
        "of a decode step.",
    )
    .addOption(jsonOption().default("gpu.json"))
    .addOption(
      choice("--config <name>", "a published model's sizes, with random weights", CONFIGS, "llama-3.2-1b"),
    )
    .addOption(choice("--device <name>", "cpu is for testing this script", ["cuda", "cpu"], "cuda"))
    .addOption(choice("--tf32 <switch>", "round matmul inputs to TensorFloat-32", ["on", "off"], "off"))
    .addOption(batchOption([1, 8, 16]))
    .option("--input <n>", "tokens of each prompt", integer(), 256)
    .option("--output <n>", "tokens generated for each prompt", integer(2), 32)
    .option("--repeat <n>", "measured runs of each case", integer(), 3)
    .addOption(executionOption(["eager", "graph", "xla", "xla+bf16"]))
    .option(
      "--checkpoint <dir>",
      "measure this checkpoint, and the time from a command's start to its first token",
      fileName,
    )
    .addOption(new Option("--context <lengths>", "also measure long prompts").argParser(integers()))
    .option("--python <path>", "with --checkpoint: also measure compiled PyTorch", fileName)
    .addOption(modeOption()),
  async measure({ input, output, ...options }, signal, save) {
    const { config, device, tf32, mode, batch, execution: executions, checkpoint, context, python } = options;
    const source = checkpoint ? { checkpoint } : ({ config, randomWeights: true, checkpoint: "" } as const);
    const model = { backend: "tensorflow", device, tf32, ...source } as const;
    const header = await headerOf("cases", tf32 === "on");
    const [hostTime, failed]: [HostTime[], string[]] = [[], []];
    let more: More = {};
    const results = (cases: Measured<CaseResults>) => {
      const { backends, model: name } = cases;
      return { backends, model: name, benches: [{ ...header, ...cases }], hostTime, failed, ...more };
    };
    const { repeat } = options;
    const sizes = { batch, execution: executions, mode, repeat, input: [input], output: [output] };
    const cases = await runCases({ ...model, ...sizes }, signal, (soFar) => save(results(soFar)));
    await save(results(cases));
    /** Measures one more part; if it fails, the others are still measured. */
    const part = async (name: string, measure: () => Promise<More>): Promise<void> => {
      if (signal.aborted) return;
      try {
        more = { ...more, ...(await measure()) };
        await save(results(cases));
      } catch (error) {
        signal.throwIfAborted();
        failed.push(`${name}: ${(error as Error).message}`);
      }
    };
    if (checkpoint && python) {
      await part("peers", async () => ({
        peers: await compiledPeers({ checkpoint, python, signal, device }, batch),
      }));
    }
    for (const dtype of checkpoint ? (["bfloat16", "float32"] as const) : []) {
      await part(`first token in ${dtype}`, async () => {
        const measured = await measureFirstToken({ checkpoint: checkpoint!, device, tf32, dtype }, signal);
        return { firstTokens: [...(more.firstTokens ?? []), ...measured] };
      });
    }
    for (const length of context ?? []) {
      await part(`context of ${length}`, async () => {
        const one = { batch: [1], execution: ["xla+bf16"], mode: "cached", repeat: 1 } as const;
        const long = await runCases({ ...model, ...one, input: [length], output: [output] }, signal);
        const { cases: earlier = [], failed: failures = [] } = more.contexts ?? {};
        const both = { cases: [...earlier, ...long.cases], failed: [...failures, ...long.failed] };
        return { contexts: { ...header, ...long, ...both } };
      });
    }
    for (const execution of mode === "uncached" ? [] : executions) {
      const how = { backend: "tensorflow", device, tf32, config, ...executionOptions(execution) };
      const step = { ...how, batch: batch[0]!, past: input };
      const measured = await hostTimeOf(step, signal);
      if (typeof measured !== "string") hostTime.push(measured);
      else failed.push(`host time, ${execution}: ${measured}`);
    }
    return results(cases);
  },
  tables: (results) => [
    hostTimeTable(results.hostTime),
    gpuTable(results),
    ...(results.contexts ? [contextTable(results.contexts)] : []),
    ...(results.firstTokens ? [firstTokenTable(results.firstTokens)] : []),
    ...(results.peers ? [peerTable(results.peers)] : []),
  ],
  verdict: ({ failed, benches }) => {
    const all = [...failed, ...benches.flatMap((bench) => bench.failed.map(({ reason }) => reason))];
    const different = benches.flatMap(({ pairs }) => pairs).filter(({ identical }) => !identical).length;
    const text = [...all.map((what) => `failed: ${what}`), `pairs with different tokens: ${different}`];
    return { good: all.length + different === 0, text: text.join("\n") };
  },
});

/** The measurements that only some options ask for. */
type More = Pick<Gpu, "firstTokens" | "contexts" | "peers">;

/** Runs the host-time study in a process of its own; returns the reason where it failed. */
async function hostTimeOf(options: object, signal: AbortSignal): Promise<HostTime | string> {
  const directory = temporaryDirectory("gpu");
  const json = join(directory, "host-time.json");
  const words = Object.entries({ ...options, study: "host-time", json }).flatMap(([name, value]) => [
    `--${name}`,
    `${value}`,
  ]);
  const bench = fileURLToPath(new URL("../../bench.ts", import.meta.url));
  const script = ["--import", import.meta.resolve("tsx"), bench, "--random-weights", ...words];
  try {
    const { ok, stderr } = await run(process.execPath, script, process.env, signal);
    return ok ? readResults<HostTime>(json, "host-time") : lastLine(stderr);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
