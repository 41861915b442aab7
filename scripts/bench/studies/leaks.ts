import * as tf from "@tensorflow/tfjs-core";
import { checkGenerationFits } from "../../../src/cost/memory-check.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { formatBytes } from "../../../src/util/format.js";
import { integer } from "../../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../../model-options.js";
import { openModel } from "../../open-model.js";
import type { Results } from "../results.js";
import { jsonOption, printTitle, studyOf } from "../study.js";
import { tableOf } from "../table.js";

interface Options extends ModelOptions {
  readonly steps: number;
}

/** Memory after each tenth of the steps. */
interface Leaks extends Results<"leaks"> {
  readonly samples: readonly Sample[];
}

type Sample = Readonly<Record<"steps" | "tensors" | "tensorBytes" | "processBytes", number>>;

/** Growth beyond garbage collection and the allocators' own. */
const TOLERANCE = 0.05;

const description =
  "Run thousands of decode steps with the KV cache and check that neither the tensors nor the process grow. " +
  "Exit code 1 if either does.";

/** Looks for leaks. */
export const study = studyOf<Options, Leaks>({
  name: "leaks",
  program: withRandomWeights(command("bench", description))
    .option("--steps <n>", "decode steps", integer(20), 2000)
    .addOption(jsonOption()),
  async measure({ steps, ...options }, signal) {
    const { backend, model, name } = await openModel(options);
    printTitle(name, backend);
    const length = Math.min(256, model.config.maxSeqLen);
    checkGenerationFits(model.config, { batch: 1, input: 1, output: length - 1, useCache: true });
    let cache = model.createCache(1, length);
    const samples: Sample[] = [];
    for (let done = 1; done <= steps; done++) {
      await yieldToEventLoop(signal);
      if (cache.length === length) {
        cache.dispose();
        cache = model.createCache(1, length);
      }
      const logits = model.forward([[1]], cache);
      await logits.data();
      logits.dispose();
      if (done !== Math.round(((samples.length + 1) * steps) / 10)) continue;
      const { numTensors: tensors, numBytes: tensorBytes } = tf.memory();
      samples.push({ steps: done, tensors, tensorBytes, processBytes: process.memoryUsage().rss });
    }
    cache.dispose();
    return { backends: [backend], model: name, samples };
  },
  tables: ({ samples }) => [
    tableOf(samples, {
      steps: ({ steps }) => `${steps}`,
      tensors: ({ tensors }) => `${tensors}`,
      "their bytes": ({ tensorBytes }) => formatBytes(tensorBytes),
      process: ({ processBytes }) => formatBytes(processBytes),
    }),
  ],
  /** The first tenth warms up. After it the tensors must stay the same, and the second half must need no more memory. */
  verdict: ({ samples: [first, ...later] }) => {
    const leaked = later.some(
      ({ tensors, tensorBytes }) => tensors !== first!.tensors || tensorBytes !== first!.tensorBytes,
    );
    const largest = (some: readonly Sample[]) => Math.max(...some.map(({ processBytes }) => processBytes));
    const growth = largest(later.slice(4)) / largest(later.slice(0, 4)) - 1;
    const word = (grew: boolean) => (grew ? "GREW" : "did not grow");
    const text =
      `tensors ${word(leaked)}; the process ${word(growth > TOLERANCE)} ` +
      `(${(100 * growth).toFixed(1)} % from the first half to the second)`;
    return { good: !leaked && growth <= TOLERANCE, text };
  },
});
