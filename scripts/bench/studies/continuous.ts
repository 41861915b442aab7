import { type Request, schedule } from "../../../src/generation/scheduler.js";
import { uniform } from "../../../src/generation/sampling.js";
import { InputError, Llama, type Model, steps } from "../../../src/index.js";
import { integer } from "../../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../../model-options.js";
import { openModel } from "../../open-model.js";
import { GREEDY } from "../measure.js";
import type { Results } from "../results.js";
import { jsonOption, studyOf } from "../study.js";
import { tableOf } from "../table.js";

interface Options extends ModelOptions {
  readonly requests: number;
  readonly batch: number;
  readonly blockSize: number;
}

const description =
  "Runs requests of unequal length by continuous batching and by the generation loop, in batches of the same size, and " +
  "counts forward passes and positions. Exit code 1 unless both choose the same tokens.";
const program = withRandomWeights(command("bench", description))
  .option("--requests <n>", "requests, of 8 to 120 prompt tokens and 8 to 64 to generate", integer(), 12)
  .option("--batch <n>", "sequences that are decoded together", integer(), 4)
  .option("--block-size <n>", "positions of a block", integer(1, 4096), 16)
  .addOption(jsonOption());

interface Counts {
  /** Forward passes. */
  readonly calls: number;
  /** Positions computed, in all sequences together. */
  readonly positions: number;
  /** Positions that memory was reserved for, at the peak. */
  readonly reserved: number;
  readonly seconds: number;
}

/** Continuous batching against the generation loop. */
interface ContinuousResults extends Results<"continuous"> {
  readonly requests: number;
  readonly batch: number;
  /** Positions that must be computed once. */
  readonly needed: number;
  /** True if both chose the same tokens. */
  readonly identical: boolean;
  readonly loop: Counts;
  readonly continuous: Counts;
}

/** Compares continuous batching with the generation loop. */
export const study = studyOf<Options, ContinuousResults>({
  name: "continuous",
  program,
  async measure(options, signal) {
    const { requests: n, batch, blockSize } = options;
    const { backend, model, name } = await openModel(options);
    if (!(model instanceof Llama)) throw new InputError("--execution must be eager for continuous batching");
    const between = (low: number, high: number, i: number, j: number) =>
      low + Math.floor(uniform(i, 7, j) * (high - low + 1));
    const requests = Array.from({ length: n }, (_, i): Request => {
      const length = between(8, 120, i, 0);
      const prompt = Array.from({ length }, (__, t) => between(0, model.config.vocabSize - 1, i, t + 2));
      return { prompt, maxGenLen: between(8, 64, i, 1) };
    });
    const loop = await inBatches(model, requests, batch, signal);
    const continuous = await scheduled(model, requests, batch, blockSize, signal);
    const identical = JSON.stringify(loop.tokens) === JSON.stringify(continuous.tokens);
    const needed = requests.reduce((sum, { prompt, maxGenLen }) => sum + prompt.length + maxGenLen - 1, 0);

    console.log(`${name}: ${n} requests, batch ${batch}, on ${backend.description}`);
    const counts = { loop: loop.counts, continuous: continuous.counts };
    return { backends: [backend], model: name, requests: n, batch, needed, identical, ...counts };
  },
  tables: ({ loop, continuous }) => [
    tableOf(
      [
        { by: "generation loop", ...loop },
        { by: "continuous batching", ...continuous },
      ],
      {
        "": ({ by }) => by,
        calls: ({ calls }) => `${calls}`,
        "positions computed": ({ positions }) => `${positions}`,
        reserved: ({ reserved }) => `${reserved}`,
        seconds: ({ seconds }) => seconds.toFixed(2),
      },
    ),
  ],
  verdict: ({ identical, needed }) => ({
    good: identical,
    text: `${needed} positions needed; tokens ${identical ? "identical" : "different"}`,
  }),
});

/** The loop of `steps`, batch after batch: each runs until its longest request is finished. */
async function inBatches(model: Model, requests: readonly Request[], batch: number, signal: AbortSignal) {
  const tokens: number[][] = requests.map(() => []);
  let [calls, positions, reserved] = [0, 0, 0];
  const started = performance.now();
  for (let at = 0; at < requests.length; at += batch) {
    const some = requests.slice(at, at + batch);
    const maxGenLen = Math.max(...some.map((request) => request.maxGenLen));
    const longest = Math.max(...some.map(({ prompt }) => prompt.length));
    reserved = Math.max(reserved, some.length * (longest + maxGenLen));
    const prompts = some.map(({ prompt }) => prompt);
    for await (const { prevPos, curPos, next } of steps(model, prompts, {
      ...GREEDY,
      maxGenLen,
      useCache: true,
      signal,
    })) {
      calls++;
      positions += some.length * (curPos - prevPos);
      for (const [i, { id, source }] of next.entries()) {
        const own = tokens[at + i]!;
        if (source === "model" && own.length < some[i]!.maxGenLen) own.push(id);
      }
    }
  }
  const counts: Counts = { calls, positions, reserved, seconds: (performance.now() - started) / 1000 };
  return { tokens, counts };
}

async function scheduled(
  model: Llama,
  requests: readonly Request[],
  maxBatch: number,
  blockSize: number,
  signal: AbortSignal,
) {
  const tokens: number[][] = requests.map(() => []);
  const sizes = requests.map(({ prompt, maxGenLen }) => Math.ceil((prompt.length + maxGenLen) / blockSize));
  const blocks = sizes
    .toSorted((a, b) => b - a)
    .slice(0, maxBatch)
    .reduce((sum, size) => sum + size, 0);
  let [calls, positions, most] = [0, 0, 0];
  const started = performance.now();
  for await (const call of schedule(model, requests, { ...GREEDY, maxBatch, blocks, blockSize, signal })) {
    calls++;
    positions += call.positions;
    most = Math.max(most, call.blocks);
    for (const [i, request] of call.requests.entries()) tokens[request]!.push(call.tokens[i]!);
  }
  const counts: Counts = {
    calls,
    positions,
    reserved: most * blockSize,
    seconds: (performance.now() - started) / 1000,
  };
  return { tokens, counts };
}
