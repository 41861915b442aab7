import * as tf from "@tensorflow/tfjs-core";
import { KVCache } from "../src/index.js";
import { spread } from "../src/measure.js";
import {
  checkWhole,
  checkWritable,
  command,
  main,
  type ModelOptions,
  number,
  openModel,
  withRandomWeights,
  writeResults,
} from "./cli.js";

interface Options extends ModelOptions {
  readonly batch: number;
  readonly past: number;
  readonly steps: number;
  readonly json?: string;
}

const program = withRandomWeights(
  command(
    "profile",
    "Shows where the time of one decode step goes: operations, the host's part, the device's.",
  ),
)
  .option("--batch <n>", "rows", number, 1)
  .option("--past <n>", "positions in the cache", number, 256)
  .option("--steps <n>", "steps to time", number, 32)
  .option("--json <file>", "write the result to a file");

await main<Options>(program, async ({ batch, past, steps, json, ...options }) => {
  checkWhole("batch", batch);
  checkWhole("past", past);
  checkWhole("steps", steps);
  if (json) await checkWritable(json);
  const { engine, model, name } = await openModel(options);
  const cache = new KVCache(model.config, batch, past + 3 * steps + 2);
  const feed = (id: number, length = 1) => model.forward(Array.from({ length: batch }, () => Array(length).fill(id)), cache); // prettier-ignore
  feed(1, past).dispose();
  for (let i = 0; i < steps; i++) await finished(feed(2)); // warm-up

  // Until the call returns, the host has issued all operations; until the scores are read, the device has done them.
  const issued: number[] = [];
  const done: number[] = [];
  for (let i = 0; i < steps; i++) {
    const started = performance.now();
    const logits = feed(3);
    issued.push(performance.now() - started);
    await finished(logits);
    done.push(performance.now() - started);
  }
  // Without waiting in between, the slower of the two sets the pace.
  const started = performance.now();
  let logits: tf.Tensor2D | undefined;
  for (let i = 0; i < steps; i++) {
    logits?.dispose();
    logits = feed(4);
  }
  await finished(logits!);
  const pipelined = (performance.now() - started) / steps;

  const { operations, total } = await count(feed);
  cache.dispose();
  const result = {
    date: new Date().toISOString(),
    engine,
    model: name,
    batch,
    past,
    operations: total,
    operationsByName: operations,
    hostMs: spread(issued),
    stepMs: spread(done),
    pipelinedMs: pipelined,
  };
  console.log(`${name}, batch ${batch}, ${past} positions in the cache, on ${engine.description}`);
  console.log(`operations a step      ${total}`);
  console.log(`host issues them in    ${result.hostMs.median.toFixed(2)} ms (${((1000 * result.hostMs.median) / total).toFixed(1)} µs each)`); // prettier-ignore
  console.log(`result is there after  ${result.stepMs.median.toFixed(2)} ms`);
  console.log(`without waiting        ${pipelined.toFixed(2)} ms a step`);
  for (const [operation, times] of Object.entries(operations))
    console.log(`  ${`${times}`.padStart(5)} ${operation}`);
  if (json) await writeResults(json, result);
});

async function finished(logits: tf.Tensor2D): Promise<void> {
  const best = tf.argMax(logits, -1);
  await best.data();
  tf.dispose([logits, best]);
}

/** The operations of one more step, by name, most frequent first. */
async function count(feed: (id: number) => tf.Tensor2D) {
  const { kernels } = await tf.profile(() => feed(5));
  const byName = new Map<string, number>();
  for (const { name } of kernels) byName.set(name, (byName.get(name) ?? 0) + 1);
  const operations = Object.fromEntries([...byName].toSorted(([, a], [, b]) => b - a));
  return { operations, total: kernels.length };
}
