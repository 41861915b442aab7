import * as tf from "@tensorflow/tfjs-core";
import { checkGenerationFits } from "../../../src/cost/memory-check.js";
import { replaceKernel } from "../../../src/backend/replace-kernel.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import type { Cache } from "../../../src/model/model.js";
import type { Backend } from "../../../src/backend/backend.js";
import { InputError, type Model, type Probe, GraphLlama } from "../../../src/index.js";
import { spread, type Spread } from "../measure.js";
import { main, integer } from "../../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../../model-options.js";
import { modelConfig, openModel } from "../../open-model.js";
import { checkWritable, fileName, writeResults } from "../../write-file.js";

interface Options extends ModelOptions {
  readonly batch: number;
  readonly past: number;
  readonly steps: number;
  readonly json?: string;
}

/** What is known of an operation in one step. */
interface Operation {
  readonly times: number;
  /** The host's time for each; not known of a recorded one. */
  readonly microseconds?: number;
}

const program = withRandomWeights(
  command(
    "profile",
    "Shows where the time of one decode step goes: operations, the host's part, the device's.",
  ),
)
  .option("--batch <n>", "rows", integer(), 1)
  .option("--past <n>", "positions in the cache", integer(), 256)
  .option("--steps <n>", "steps to time", integer(), 32)
  .option("--json <file>", "write the result to a file", fileName);

await main<Options>(program, async ({ batch, past, steps, json, ...options }, signal) => {
  const positions = past + 4 * steps + 1; // warm-up, waiting, not waiting, by operation
  const { maxSeqLen } = await modelConfig(options);
  if (positions > maxSeqLen) {
    throw new InputError(
      `past ${past} and four times ${steps} steps, and one, make ${positions} positions, the model's context has room for ${maxSeqLen}`,
    );
  }
  if (json) await checkWritable(json);
  const { backend, model, name } = await openModel(options);
  checkGenerationFits(model.config, { batch, input: past, output: 4 * steps + 1, useCache: true });
  const recordingMs = await timed(async () => model instanceof GraphLlama && model.prepare(batch, positions));
  const cache = model.createCache(batch, positions);
  const feed = feeder(model, batch);
  await yieldToEventLoop(signal);
  feed(cache, past).dispose();
  await yieldToEventLoop(signal);
  const firstStepMs = await timed(() => finished(feed(cache))); // XLA compiles, and kernels are made ready
  for (let i = 1; i < steps; i++) {
    await yieldToEventLoop(signal);
    await finished(feed(cache)); // warm-up
  }

  // Until the call returns, the host has issued all operations; until the scores are read, the device has done them.
  const issued: number[] = [];
  const done: number[] = [];
  for (let i = 0; i < steps; i++) {
    await yieldToEventLoop(signal);
    const started = performance.now();
    const logits = feed(cache);
    issued.push(performance.now() - started);
    await finished(logits);
    done.push(performance.now() - started);
  }
  // Without waiting in between, the slower of the two sets the pace.
  const started = performance.now();
  let logits: tf.Tensor2D | undefined;
  for (let i = 0; i < steps; i++) {
    logits?.dispose();
    logits = feed(cache);
  }
  await finished(logits!);
  const pipelined = (performance.now() - started) / steps;
  const hostMs = spread(issued);
  const recorded = model instanceof GraphLlama ? model : undefined;
  const measurable = backend.device === "cuda" && !recorded; // a recorded step returns when the card is done with it
  const deviceMs = measurable ? await timeOnTheCard(model, batch, past, hostMs.median) : null;

  const operations = recorded
    ? Object.fromEntries(Object.entries(recorded.operations()).map(([operation, times]): [string, Operation] => [operation, { times }])) // prettier-ignore
    : await timeOperations(backend, steps, async () => {
        await yieldToEventLoop(signal);
        await finished(feed(cache));
      });
  cache.dispose();
  const result = {
    date: new Date().toISOString(),
    backend,
    model: name,
    batch,
    past,
    execution: options.execution,
    dtype: options.dtype,
    recordingMs,
    firstStepMs,
    operations: Object.values(operations).reduce((sum, { times }) => sum + times, 0),
    operationsByName: operations,
    hostMs,
    deviceMs,
    stepMs: spread(done),
    pipelinedMs: pipelined,
  };
  console.log(
    `${name}, batch ${batch}, ${past} positions in the cache, ${options.execution}${options.dtype === "bfloat16" ? ", bfloat16 weights" : ""}, on ${backend.description}`,
  );
  if (recorded) console.log(`recorded in            ${(recordingMs / 1000).toFixed(2)} s`);
  console.log(
    `first step             ${firstStepMs.toFixed(0)} ms${recorded?.compiles(batch, 1) ? ", with XLA's compiling" : options.execution === "xla" ? "; XLA compiles no step of so many rows here" : ""}`,
  );
  console.log(`operations a step      ${result.operations}`);
  if (!recorded) console.log(`host issues them in    ${hostMs.median.toFixed(2)} ms (${((1000 * hostMs.median) / result.operations).toFixed(1)} µs each)`); // prettier-ignore
  if (deviceMs) console.log(`card does them in      ${deviceMs.median.toFixed(2)} ms`);
  console.log(`result is there after  ${result.stepMs.median.toFixed(2)} ms`);
  console.log(`without waiting        ${pipelined.toFixed(2)} ms a step`);
  console.log(`\ntimes a step  ${recorded ? "" : "host, µs each  "}operation`);
  for (const [operation, { times, microseconds }] of Object.entries(operations)) {
    const each = microseconds === undefined ? "" : ` ${microseconds.toFixed(1).padStart(14)}`;
    console.log(`${`${times}`.padStart(12)}${each}  ${operation}`);
  }
  if (json) await writeResults(json, result);
});

/** Feeds every row some positions and leaves the scores on the device. */
function feeder(model: Model, batch: number) {
  const rows = (length: number) => Array.from({ length: batch }, () => Array<number>(length).fill(1));
  return (cache: Cache, length = 1, probe?: Probe) => model.forward(rows(length), cache, probe);
}

/** Milliseconds that something takes. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Brings the scores to the host, as generation does to choose from them. */
async function finished(logits: tf.Tensor2D): Promise<void> {
  await logits.data();
  logits.dispose();
}

/**
 * How long the card itself computes in a step, from the first block on. It is given so much to do first that the host
 * has issued the whole step before the card begins with it; what the result then takes longer than that work alone is
 * the step. (An upload would make the host wait for the card. Those of a step come before the first block, except
 * where its rows go in the cache, which a twin of the cache has just sent.)
 *
 * @returns milliseconds; null where the work did not outlast the host
 */
async function timeOnTheCard(
  model: Model,
  batch: number,
  past: number,
  hostMs: number,
): Promise<Spread | null> {
  const repeats = 9;
  const [twin, cache] = [1, 2].map(() => model.createCache(batch, past + repeats)) as [Cache, Cache]; // prettier-ignore
  const feed = feeder(model, batch);
  for (const one of [twin, cache]) feed(one, past).dispose();
  const matrix = tf.zeros<tf.Rank.R2>([4096, 4096]);
  const work = (products: number) => {
    for (let i = 0; i < products; i++) tf.matMul(matrix, matrix).dispose();
  };
  const timeWork = async (products: number) => {
    const started = performance.now();
    work(products);
    const last = tf.slice(tf.matMul(matrix, matrix), [0, 0], [1, 1]);
    await last.data();
    last.dispose();
    return performance.now() - started;
  };
  await timeWork(10);
  const products = Math.ceil((4 * hostMs * 50) / (await timeWork(50)));

  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const alone = await timeWork(products);
    await finished(feed(twin));
    let started = 0;
    const logits = feed(cache, 1, (name, layer) => {
      if (name !== "attention.output" || layer !== 0) return;
      started = performance.now();
      work(products);
      tf.matMul(matrix, matrix).dispose();
    });
    const last = tf.slice(logits, [0, 0], [1, 1]); // bringing all scores to the host is not the card's computing
    const issued = performance.now() - started;
    await last.data();
    if (issued < alone) times.push(performance.now() - started - alone);
    tf.dispose([logits, last]);
  }
  twin.dispose();
  cache.dispose();
  matrix.dispose();
  return times.length > repeats / 2 ? spread(times) : null;
}

/** The operations of one step by name, most frequent first, with the host's time for each, averaged over some steps. */
async function timeOperations(
  backend: Backend,
  steps: number,
  step: () => Promise<void>,
): Promise<Record<string, Operation>> {
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
  return Object.fromEntries(
    [...seen]
      .toSorted(([, a], [, b]) => b.times - a.times)
      .map(([name, { times, milliseconds }]) => [
        name,
        { times: times / steps, microseconds: (1000 * milliseconds) / times },
      ]),
  );
}
