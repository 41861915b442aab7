import { Command } from "commander";
import { checkGenerationFits } from "../../../src/cost/memory-check.js";
import { steps } from "../../../src/generation/steps.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { integer } from "../../cli.js";
import { openModel } from "../../open-model.js";
import { fileName } from "../../write-file.js";
import { INSTALL, openOnnxModel } from "../baselines/onnxruntime-web.js";
import { benchPrompts, GREEDY, spread } from "../measure.js";
import type { Results, Spread } from "../results.js";
import { jsonOption, printTitle, studyOf } from "../study.js";
import { type Table, tableOf } from "../table.js";

interface Options {
  readonly checkpoint: string;
  readonly onnx: string;
  readonly onnxruntimeWeb: string;
  readonly rounds: number;
}

/** Times of one program. */
interface Times {
  readonly ms: Spread;
  /** CPU time of the process. */
  readonly cpuMs: Spread;
}

/** Times of both programs. */
export interface OnnxRuntimeWeb extends Results<"onnxruntime-web"> {
  readonly input: number;
  readonly output: number;
  readonly prefill: Readonly<Record<"ours" | "theirs", Times>>;
  readonly step: Readonly<Record<"ours" | "theirs", Times>>;
  /** True if both chose the same tokens in each round. */
  readonly sameTokens: boolean;
}

/** Tokens of the prompt, and tokens generated. */
const [INPUT, OUTPUT] = [256, 32];

const program = new Command("npm run bench --")
  .description(
    "Measure this project on WebAssembly beside onnxruntime-web: one process, one thread each, alternating, with the " +
      "KV cache, float32. The ONNX model is made from the checkpoint by " +
      '"python -m onnxruntime_genai.models.builder -m CHECKPOINT -o ONNX -p fp32 -e cpu" (onnxruntime-genai==0.18.0).',
  )
  .requiredOption("--checkpoint <dir>", "model directory in Hugging Face's layout", fileName)
  .requiredOption("--onnx <dir>", "the same model as ONNX", fileName)
  .requiredOption("--onnxruntime-web <dir>", `a directory in which "${INSTALL}" was run`, fileName)
  .option("--rounds <n>", "generations to time, by each program", integer(), 5)
  .addOption(jsonOption());

/** Compares prefill and decode steps with onnxruntime-web's. */
export const study = studyOf<Options, OnnxRuntimeWeb>({
  name: "onnxruntime-web",
  program,
  async measure({ checkpoint, onnx, onnxruntimeWeb, rounds }, signal) {
    const theirs = await openOnnxModel(onnxruntimeWeb, onnx);
    const execution = { tf32: "off", execution: "eager", dtype: "float32" } as const;
    const { backend, model, name } = await openModel({ checkpoint, backend: "wasm", ...execution });
    printTitle(name, backend);
    checkGenerationFits(model.config, { batch: 1, input: INPUT, output: OUTPUT, useCache: true });
    const prompts = benchPrompts(1, INPUT, model.config.vocabSize);
    async function* ours() {
      for await (const { next } of steps(model, prompts, { ...GREEDY, maxGenLen: OUTPUT, useCache: true })) {
        yield next[0]!.id;
      }
    }
    const programs = { ours, theirs: () => theirs.generate(prompts[0]!, OUTPUT) };
    const times = new Map<string, [ms: number, cpuMs: number][]>();
    let sameTokens = true;
    for (let round = 0; round <= rounds; round++) {
      if (round === 1) times.clear(); // the first round warms up
      const tokens: number[][] = [];
      for (const [by, generate] of Object.entries(programs)) {
        const chosen: number[] = [];
        let [started, cpu] = [performance.now(), process.cpuUsage()];
        for await (const token of generate()) {
          const { user, system } = process.cpuUsage(cpu);
          const key = `${by} ${chosen.length === 0 ? "prefill" : "step"}`;
          const time: [number, number] = [performance.now() - started, (user + system) / 1000];
          times.set(key, [...(times.get(key) ?? []), time]);
          chosen.push(token);
          await yieldToEventLoop(signal);
          [started, cpu] = [performance.now(), process.cpuUsage()];
        }
        tokens.push(chosen);
      }
      sameTokens &&= `${tokens[0]}` === `${tokens[1]}`;
    }
    const of = (key: string): Times => {
      const samples = times.get(key)!;
      return { ms: spread(samples.map(([ms]) => ms)), cpuMs: spread(samples.map(([, cpuMs]) => cpuMs)) };
    };
    const both = (phase: string) => ({ ours: of(`ours ${phase}`), theirs: of(`theirs ${phase}`) });
    return {
      backends: [backend],
      model: name,
      versions: { "onnxruntime-web": theirs.version },
      input: INPUT,
      output: OUTPUT,
      prefill: both("prefill"),
      step: both("step"),
      sameTokens,
    };
  },
  tables: (results) => [onnxRuntimeWebTable(results)],
});

/** Medians of both programs, and their ratios. */
export function onnxRuntimeWebTable({ input, prefill, step, sameTokens }: OnnxRuntimeWeb): Table {
  const rows = [
    { phase: `prefill of ${input}`, ...prefill },
    { phase: "decode step", ...step },
  ];
  const ratio = (a: Spread, b: Spread) => (a.median / b.median).toFixed(2);
  return tableOf(rows, {
    "": ({ phase }) => phase,
    "ours ms": ({ ours }) => ours.ms.median.toFixed(1),
    "onnxruntime-web ms": ({ theirs }) => theirs.ms.median.toFixed(1),
    ratio: ({ ours, theirs }) => ratio(ours.ms, theirs.ms),
    "of CPU time": ({ ours, theirs }) => ratio(ours.cpuMs, theirs.cpuMs),
    tokens: () => (sameTokens ? "same" : "OTHERS"),
  });
}
