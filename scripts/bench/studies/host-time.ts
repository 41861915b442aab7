import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { checkGenerationFits } from "../../../src/cost/memory-check.js";
import { GraphLlama, InputError } from "../../../src/index.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { integer } from "../../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../../model-options.js";
import { modelConfig, openModel } from "../../open-model.js";
import type { Execution } from "../case.js";
import { spread } from "../measure.js";
import type { Results, Spread } from "../results.js";
import { jsonOption, printTitle, studyOf } from "../study.js";
import { type Table, tableOf } from "../table.js";

interface Options extends ModelOptions {
  readonly batch: number;
  readonly past: number;
  readonly steps: number;
}

/** The host time of a decode step. */
export interface HostTime extends Results<"host-time"> {
  readonly batch: number;
  /** Positions in the cache before the step. */
  readonly past: number;
  readonly execution: Execution;
  /** Per step. */
  readonly operations: number;
  readonly operationsByName: Readonly<Record<string, { readonly times: number }>>;
  /** Until the call returns: the host has issued all operations. */
  readonly hostMs: Spread;
  /** Until the logits have been read: the device has run them. */
  readonly latencyMs: Spread;
  /** Per step, where no step waits for the one before it: the slower of host and device sets the pace. */
  readonly pipelinedMs: number;
}

const description = "Time one decode step: its operations, the host time to issue them, and the latency.";

/** Times one decode step: what the host needs to issue its operations, and until the result is there. */
export const study = studyOf<Options, HostTime>({
  name: "host-time",
  program: withRandomWeights(command("bench", description))
    .option("--batch <n>", "batch size", integer(), 1)
    .option("--past <n>", "positions in the cache", integer(), 256)
    .option("--steps <n>", "decode steps to time", integer(), 32)
    .addOption(jsonOption()),
  async measure(options, signal) {
    const { batch, past, steps, execution, dtype } = options;
    const output = 3 * steps + 1; // warm-up, waiting, pipelined, counted
    const { maxSeqLen } = await modelConfig(options);
    if (past + output > maxSeqLen) {
      throw new InputError(
        `--past + 3 * --steps + 1 must be within the model's context of ${maxSeqLen} positions, ` +
          `got ${past} + ${output} = ${past + output}`,
      );
    }
    const { backend, model, name } = await openModel(options);
    printTitle(name, backend);
    checkGenerationFits(model.config, { batch, input: past, output, useCache: true });
    const cache = model.createCache(batch, past + output);
    const ids = (length: number) => Array<number[]>(batch).fill(Array<number>(length).fill(1));
    const issue = () => model.forward(ids(1), cache);
    model.forward(ids(past), cache).dispose();

    let [issued, latency]: [number[], number[]] = [[], []];
    for (const _ of ["warm-up", "measured"]) {
      [issued, latency] = [[], []];
      for (let i = 0; i < steps; i++) {
        await yieldToEventLoop(signal);
        const started = performance.now();
        const logits = issue();
        issued.push(performance.now() - started);
        await finished(logits);
        latency.push(performance.now() - started);
      }
    }
    const started = performance.now();
    for (let i = 1; i < steps; i++) issue().dispose();
    await finished(issue());
    const pipelinedMs = (performance.now() - started) / steps;
    const operations =
      model instanceof GraphLlama
        ? model.operations()
        : (await tf.profile(() => issue().dispose())).kernels.map((kernel) => kernel.name);
    cache.dispose();
    return {
      backends: [backend],
      model: name,
      batch,
      past,
      execution: (dtype === "bfloat16" ? `${execution}+bf16` : execution) as Execution,
      operations: operations.length,
      operationsByName: countByName(operations),
      hostMs: spread(issued),
      latencyMs: spread(latency),
      pipelinedMs,
    };
  },
  tables: (results) => [
    hostTimeTable([results]),
    tableOf(Object.entries(results.operationsByName), {
      times: ([, { times }]) => `${times}`,
      operation: ([operation]) => operation,
    }),
  ],
});

/** Host time of a decode step, and what it is compared with. */
export const hostTimeTable = (rows: readonly HostTime[]): Table =>
  tableOf(rows, {
    TF32: ({ tf32 }) => (tf32 ? "on" : "off"),
    batch: ({ batch }) => `${batch}`,
    execution: ({ execution }) => execution,
    operations: ({ operations }) => `${operations}`,
    "host time ms": (one) => (one.execution === "eager" ? one.hostMs.median.toFixed(1) : "one call"),
    "µs per operation": (one) =>
      one.execution === "eager" ? ((1000 * one.hostMs.median) / one.operations).toFixed(0) : "",
    "latency ms": ({ latencyMs }) => latencyMs.median.toFixed(1),
    "pipelined ms": ({ pipelinedMs }) => pipelinedMs.toFixed(1),
  });

/** Copies the logits to the host, as generation does. */
async function finished(logits: Tensor2D): Promise<void> {
  await logits.data();
  logits.dispose();
}

/** The number of times that each name occurs, most frequent first. */
function countByName(names: readonly string[]): HostTime["operationsByName"] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const sorted = [...counts].toSorted(([, a], [, b]) => b - a);
  return Object.fromEntries(sorted.map(([name, times]) => [name, { times }]));
}
