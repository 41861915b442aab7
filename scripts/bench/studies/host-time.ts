import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { Backend } from "../../../src/backend/backend.js";
import { replaceKernel } from "../../../src/backend/replace-kernel.js";
import { checkGenerationFits } from "../../../src/cost/memory-check.js";
import { GraphLlama, InputError, type Model, type Probe } from "../../../src/index.js";
import type { Cache } from "../../../src/model/model.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { integer } from "../../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../../model-options.js";
import { modelConfig, openModel } from "../../open-model.js";
import { checkWritable } from "../../write-file.js";
import type { Execution } from "../case.js";
import { spread, trace } from "../measure.js";
import { provenance, save } from "../results-file.js";
import type { ResultsOf, Spread } from "../schema.js";
import { jsonOption, studyOf } from "../study.js";

type Operations = ResultsOf<"host-time">["operationsByName"];
type Forward = (cache: Cache, length?: number, probe?: Probe) => Tensor2D;

interface Options extends ModelOptions {
  readonly batch: number;
  readonly past: number;
  readonly steps: number;
  readonly json?: string;
}

const description = "Shows where the time of one decode step goes: operations, host time, GPU time.";

const program = withRandomWeights(command("bench", description))
  .option("--batch <n>", "batch size", integer(), 1)
  .option("--past <n>", "positions in the cache", integer(), 256)
  .option("--steps <n>", "decode steps to time", integer(), 32)
  .addOption(jsonOption());

/** Times one decode step: what the host needs to issue its operations, and until the result is there. */
export const study = studyOf<Options>("host-time", program, async (options, signal) => {
  const { batch, past, steps, json, execution, dtype } = options;
  const positions = past + 4 * steps + 1; // warm-up, waiting, pipelined, by operation
  const { maxSeqLen } = await modelConfig(options);
  if (positions > maxSeqLen) {
    throw new InputError(
      `past ${past} and 4 * ${steps} + 1 steps make ${positions} positions, the model's context has ${maxSeqLen}`,
    );
  }
  if (json) await checkWritable(json);
  const facts = await provenance("host-time");
  const { backend, model, name } = await openModel(options);
  checkGenerationFits(model.config, { batch, input: past, output: 4 * steps + 1, useCache: true });
  const traceMs = await timed(async () => trace(model, batch, positions));
  const cache = model.createCache(batch, positions);
  const forward = forwardOf(model, batch);
  await yieldToEventLoop(signal);
  forward(cache, past).dispose();
  await yieldToEventLoop(signal);
  const firstStepMs = await timed(() => finished(forward(cache))); // XLA compiles, kernels are prepared
  for (let i = 1; i < steps; i++) {
    await yieldToEventLoop(signal);
    await finished(forward(cache)); // warm-up
  }

  // When the call returns, the host has issued all operations; when the logits are read, the device has run them.
  const issued: number[] = [];
  const latency: number[] = [];
  for (let i = 0; i < steps; i++) {
    await yieldToEventLoop(signal);
    const started = performance.now();
    const logits = forward(cache);
    issued.push(performance.now() - started);
    await finished(logits);
    latency.push(performance.now() - started);
  }
  // Without waiting in between, the slower of host and device sets the pace.
  const pipelinedMs = (await timed(() => pipelined(() => forward(cache), steps))) / steps;
  const hostMs = spread(issued);
  const graph = model instanceof GraphLlama ? model : undefined;
  const onGpu = backend.device === "cuda" && !graph; // in graph mode a call returns when the GPU has finished
  const deviceMs = onGpu ? await timeOnGpu(model, batch, past, hostMs.median) : null;
  const operationsByName: Operations = graph
    ? Object.fromEntries(
        Object.entries(graph.operations()).map(([operation, times]) => [operation, { times }]),
      )
    : await timeOperations(backend, steps, async () => {
        await yieldToEventLoop(signal);
        await finished(forward(cache));
      });
  cache.dispose();

  const results: ResultsOf<"host-time"> = {
    ...facts,
    tf32: options.tf32 === "on",
    backends: [backend],
    model: name,
    batch,
    past,
    execution: (dtype === "bfloat16" ? `${execution}+bf16` : execution) as Execution,
    traceMs,
    firstStepMs,
    operations: Object.values(operationsByName).reduce((sum, { times }) => sum + times, 0),
    operationsByName,
    hostMs,
    deviceMs,
    latencyMs: spread(latency),
    pipelinedMs,
  };
  print(results, graph?.compiles(batch, 1));
  await save(json, results);
});

function print(results: ResultsOf<"host-time">, compiled: boolean | undefined): void {
  const { model, backends, batch, past, execution, operations, hostMs, deviceMs } = results;
  const eager = compiled === undefined;
  const xla = compiled
    ? ", with XLA compilation"
    : execution.startsWith("xla")
      ? "; not compiled: batch too large for XLA on CPU"
      : "";
  const line = (what: string, milliseconds: number | undefined, note = "") =>
    milliseconds === undefined ? [] : [`${what.padEnd(22)} ${milliseconds.toFixed(2)} ms${note}`];
  const lines = [
    `${model}, batch ${batch}, ${past} positions in the cache, ${execution}, on ${backends[0].description}`,
    ...line("tracing", eager ? undefined : results.traceMs),
    ...line("first step", results.firstStepMs, xla),
    `operations per step    ${operations}`,
    ...line(
      "host time",
      eager ? hostMs.median : undefined,
      ` (${((1000 * hostMs.median) / operations).toFixed(1)} µs each)`,
    ),
    ...line("GPU time", deviceMs?.median),
    ...line("latency", results.latencyMs.median),
    ...line("pipelined, per step", results.pipelinedMs),
    `\n       count  ${eager ? "host, µs each  " : ""}operation`,
  ];
  for (const [operation, { times, microseconds }] of Object.entries(results.operationsByName)) {
    const each = microseconds === undefined ? "" : ` ${microseconds.toFixed(1).padStart(14)}`;
    lines.push(`${`${times}`.padStart(12)}${each}  ${operation}`);
  }
  console.log(lines.join("\n"));
}

/** Runs the model on some positions of every sequence and leaves the logits on the device. */
function forwardOf(model: Model, batch: number): Forward {
  const ids = (length: number) => Array.from({ length: batch }, () => Array<number>(length).fill(1));
  return (cache, length = 1, probe) => model.forward(ids(length), cache, probe);
}

/** Milliseconds that something takes. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Copies the logits to the host, as generation does. */
async function finished(logits: Tensor2D): Promise<void> {
  await logits.data();
  logits.dispose();
}

async function pipelined(step: () => Tensor2D, steps: number): Promise<void> {
  for (let i = 1; i < steps; i++) step().dispose();
  await finished(step());
}

/**
 * GPU time of a step, from the first block on. The GPU first gets so much other work that the host has issued the whole
 * step before the GPU begins with it; the time beyond that work alone is the step's. (An upload would make the host
 * wait for the GPU. A step's uploads come before the first block, except for the cache's write positions, which a twin
 * of the cache has just sent.)
 *
 * @returns milliseconds; null where the work was too short
 */
async function timeOnGpu(model: Model, batch: number, past: number, hostMs: number): Promise<Spread | null> {
  const repeats = 9;
  const [twin, cache] = [1, 2].map(() => model.createCache(batch, past + repeats)) as [Cache, Cache];
  const forward = forwardOf(model, batch);
  for (const one of [twin, cache]) forward(one, past).dispose();
  const matrix = tf.zeros<tf.Rank.R2>([4096, 4096]);
  const work = (matmuls: number) => {
    for (let i = 0; i < matmuls; i++) tf.matMul(matrix, matrix).dispose();
  };
  const firstNumber = async (tensor: Tensor2D) => {
    const first = tf.slice(tensor, [0, 0], [1, 1]); // copying all of it to the host is not GPU time
    tensor.dispose();
    await first.data();
    first.dispose();
  };
  const timeWork = (matmuls: number) =>
    timed(() => {
      work(matmuls);
      return firstNumber(tf.matMul(matrix, matrix));
    });
  await timeWork(10);
  const matmuls = Math.ceil((4 * hostMs * 50) / (await timeWork(50)));

  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const alone = await timeWork(matmuls);
    await finished(forward(twin));
    let started = 0;
    const logits = forward(cache, 1, (name, layer) => {
      if (name !== "attention.output" || layer !== 0) return;
      started = performance.now();
      work(matmuls + 1);
    });
    const issued = performance.now() - started;
    await firstNumber(logits);
    if (issued < alone) times.push(performance.now() - started - alone);
  }
  tf.dispose(matrix);
  for (const one of [twin, cache]) one.dispose();
  return times.length > repeats / 2 ? spread(times) : null;
}

/** The operations of one step, most frequent first, with the host's time for each, averaged over some steps. */
async function timeOperations(
  backend: Backend,
  steps: number,
  step: () => Promise<void>,
): Promise<Operations> {
  const seen = new Map<string, { times: number; milliseconds: number }>();
  const kernels = tf.getKernelsForBackend(backend.name);
  for (const { kernelName, kernelFunc } of kernels) {
    replaceKernel(kernelName, backend.name, (call) => {
      const started = performance.now();
      const result = kernelFunc(call);
      const one = seen.get(kernelName) ?? { times: 0, milliseconds: 0 };
      seen.set(kernelName, one);
      one.times++;
      one.milliseconds += performance.now() - started;
      return result;
    });
  }
  for (let i = 0; i < steps; i++) await step();
  for (const { kernelName, kernelFunc } of kernels) replaceKernel(kernelName, backend.name, kernelFunc);
  const byCount = [...seen].toSorted(([, a], [, b]) => b.times - a.times);
  return Object.fromEntries(
    byCount.map(([name, { times, milliseconds }]) => [
      name,
      { times: times / steps, microseconds: (1000 * milliseconds) / times },
    ]),
  );
}
