import * as tf from "@tensorflow/tfjs-core";
import { checkGenerationFits } from "../../../src/cost/memory-check.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { formatBytes } from "../../../src/util/format.js";
import { integer } from "../../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../../model-options.js";
import { openModel } from "../../open-model.js";
import { checkWritable } from "../../write-file.js";
import { trace } from "../measure.js";
import { provenance, save } from "../results-file.js";
import type { ResultsOf } from "../schema.js";
import { jsonOption, studyOf } from "../study.js";

interface Options extends ModelOptions {
  readonly batch: number;
  readonly steps: number;
  readonly json?: string;
}

const description =
  "Runs thousands of decode steps with the KV cache and checks that neither the tensors nor the process grow. " +
  "Exit code 1 if either does.";

const program = withRandomWeights(command("bench", description))
  .option("--batch <n>", "batch size", integer(), 1)
  .option("--steps <n>", "decode steps", integer(20), 2000)
  .addOption(jsonOption());

/** Growth beyond garbage collection and the allocators' own. */
const TOLERANCE = 0.05;

/** Looks for leaks: memory after each tenth of the steps. */
export const study = studyOf<Options>(
  "leaks",
  program,
  async ({ batch, steps, json, ...options }, signal) => {
    if (json) await checkWritable(json);
    const facts = await provenance("leaks");
    const { backend, model, name } = await openModel(options);
    const ids = Array.from({ length: batch }, () => [1]);
    const length = Math.min(256, model.config.maxSeqLen);
    checkGenerationFits(model.config, { batch, input: 1, output: length - 1, useCache: true });
    trace(model, batch, length);
    let cache = model.createCache(batch, length);

    console.log(`${name}, batch ${batch}, on ${backend.description}; Node ${process.version}\n`);
    console.log("  steps  tensors  their bytes     process");
    const samples: ResultsOf<"leaks">["samples"] = [];
    for (let done = 1; done <= steps; done++) {
      await yieldToEventLoop(signal);
      if (cache.length === length) {
        cache.dispose();
        cache = model.createCache(batch, length);
      }
      const logits = model.forward(ids, cache);
      await logits.data();
      logits.dispose();
      if (done !== Math.round(((samples.length + 1) * steps) / 10)) continue;
      const { numTensors: tensors, numBytes: tensorBytes } = tf.memory();
      const processBytes = process.memoryUsage().rss;
      samples.push({ steps: done, tensors, tensorBytes, processBytes });
      const numbers = [
        `${done}`.padStart(7),
        `${tensors}`.padStart(8),
        formatBytes(tensorBytes).padStart(12),
      ];
      console.log([...numbers, formatBytes(processBytes).padStart(11)].join(" "));
    }
    cache.dispose();

    // The first tenth warms up. After it the tensors must stay the same, and the second half must need no more memory.
    const [first, ...later] = samples;
    const leaked = later.some(
      ({ tensors, tensorBytes }) => tensors !== first!.tensors || tensorBytes !== first!.tensorBytes,
    );
    const largest = (some: typeof samples) => Math.max(...some.map(({ processBytes }) => processBytes));
    const growth = largest(samples.slice(5)) / largest(samples.slice(1, 5)) - 1;
    const verdict = (grew: boolean) => (grew ? "GREW" : "did not grow");
    console.log(
      `\ntensors ${verdict(leaked)}; the process ${verdict(growth > TOLERANCE)} ` +
        `(${(100 * growth).toFixed(1)} % from the first half to the second)`,
    );
    if (leaked || growth > TOLERANCE) process.exitCode = 1;
    await save(json, {
      ...facts,
      tf32: options.tf32 === "on",
      backends: [backend],
      model: name,
      batch,
      samples,
    });
  },
);
