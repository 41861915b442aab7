import { GraphLlama } from "../../../src/index.js";
import * as tf from "@tensorflow/tfjs-core";
import { checkGenerationFits } from "../../../src/cost/memory-check.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { formatBytes } from "../../../src/util/format.js";
import { main, integer } from "../../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../../model-options.js";
import { openModel } from "../../open-model.js";
import { checkWritable, fileName, writeResults } from "../../write-file.js";

interface Options extends ModelOptions {
  readonly batch: number;
  readonly steps: number;
  readonly json?: string;
}

/** What exists after so many steps. */
interface Sample {
  readonly steps: number;
  readonly tensors: number;
  readonly tensorBytes: number;
  /** Of the whole process, of which memory that the backend keeps for its next operation is a part. */
  readonly processBytes: number;
}

const program = withRandomWeights(
  command(
    "growth",
    "Takes thousands of decode steps with the KV cache and shows that memory does not grow: neither tensors nor the " +
      "process. Exit code 1 if either does.",
  ),
)
  .option("--batch <n>", "rows", integer(), 1)
  .option("--steps <n>", "decode steps", integer(20), 2000)
  .option("--json <file>", "write the samples to a file", fileName);

/** Beyond this a process has grown: garbage collection and the allocators alone move it by less. */
const TOLERANCE = 0.05;

await main<Options>(program, async ({ batch, steps, json, ...options }, signal) => {
  if (json) await checkWritable(json);
  const { backend, model, name } = await openModel(options);
  const tokens = Array.from({ length: batch }, () => [1]);
  const length = Math.min(256, model.config.maxSeqLen);
  checkGenerationFits(model.config, { batch, input: 1, output: length - 1, useCache: true });
  if (model instanceof GraphLlama) model.prepare(batch, length);
  let cache = model.createCache(batch, length);
  async function step(): Promise<void> {
    if (cache.length === length) {
      cache.dispose();
      cache = model.createCache(batch, length);
    }
    const logits = model.forward(tokens, cache);
    await logits.data();
    logits.dispose();
  }

  console.log(`${name}, batch ${batch}, on ${backend.description}; Node ${process.version}\n`);
  console.log("  steps  tensors  their bytes     process");
  const samples: Sample[] = [];
  for (let taken = 1; taken <= steps; taken++) {
    await yieldToEventLoop(signal);
    await step();
    if (taken !== Math.round(((samples.length + 1) * steps) / 10)) continue;
    const { numTensors, numBytes } = tf.memory();
    samples.push({ steps: taken, tensors: numTensors, tensorBytes: numBytes, processBytes: process.memoryUsage().rss }); // prettier-ignore
    console.log(`${`${taken}`.padStart(7)} ${`${numTensors}`.padStart(8)} ${formatBytes(numBytes).padStart(12)} ${formatBytes(process.memoryUsage().rss).padStart(11)}`); // prettier-ignore
  }
  cache.dispose();

  // The first tenth warms up. After it no tensor may be more, and the second half may not need more than the first.
  const [first, ...later] = samples as [Sample, ...Sample[]];
  const leaked = later.some(({ tensors, tensorBytes }) => tensors !== first.tensors || tensorBytes !== first.tensorBytes); // prettier-ignore
  const largest = (some: readonly Sample[]) => Math.max(...some.map(({ processBytes }) => processBytes));
  const growth = largest(samples.slice(5)) / largest(samples.slice(1, 5)) - 1;
  console.log(`\ntensors ${leaked ? "GREW" : "did not grow"}; the process ${growth > TOLERANCE ? "GREW" : "did not grow"} (${(100 * growth).toFixed(1)} % from the first half to the second)`); // prettier-ignore
  if (leaked || growth > TOLERANCE) process.exitCode = 1;
  if (json) await writeResults(json, { date: new Date().toISOString(), backend, model: name, node: process.version, batch, samples }); // prettier-ignore
});
