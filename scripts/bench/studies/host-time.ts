import * as tf from "@tensorflow/tfjs-core";
import { replaceKernel } from "../../../src/backend/replace-kernel.js";
import { checkGenerationFits } from "../../../src/cost/memory-check.js";
import { GraphLlama, InputError } from "../../../src/index.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { integer } from "../../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../../model-options.js";
import { modelConfig, openModel } from "../../open-model.js";
import { checkWritable } from "../../write-file.js";
import type { Execution } from "../case.js";
import { spread, trace } from "../measure.js";
import { finished, forward, timed, timeOnGpu } from "../gpu-time.js";
import { provenance, save } from "../results-file.js";
import type { ResultsOf } from "../schema.js";
import { jsonOption, studyOf } from "../study.js";

type Operations = ResultsOf<"host-time">["operationsByName"];

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
  const facts = { ...(await provenance("host-time")), tf32: options.tf32 === "on" };
  const { backend, model, name } = await openModel(options);
  checkGenerationFits(model.config, { batch, input: past, output: 4 * steps + 1, useCache: true });
  const traceMs = await timed(() => trace(model, batch, positions));
  const cache = model.createCache(batch, positions);
  const issue = () => forward(model, batch, cache);
  const times = async (step: () => Promise<void> | void) => {
    for (let i = 0; i < steps; i++) {
      await yieldToEventLoop(signal);
      await step();
    }
  };

  forward(model, batch, cache, past).dispose();
  await yieldToEventLoop(signal);
  const firstStepMs = await timed(() => finished(issue())); // XLA compiles, kernels are prepared
  await times(() => finished(issue())); // warm-up
  // When the call returns, the host has issued all operations; when the logits are read, the device has run them.
  const [issued, latency]: [number[], number[]] = [[], []];
  await times(async () => {
    const started = performance.now();
    const logits = issue();
    issued.push(performance.now() - started);
    await finished(logits);
    latency.push(performance.now() - started);
  });
  // Without waiting in between, the slower of host and device sets the pace.
  const pipelinedMs = await timed(async () => {
    for (let i = 1; i < steps; i++) issue().dispose();
    await finished(issue());
  });
  const hostMs = spread(issued);
  const graph = model instanceof GraphLlama ? model : undefined;
  const onGpu = backend.device === "cuda" && !graph; // in graph mode a call returns when the GPU has finished
  const deviceMs = onGpu ? await timeOnGpu(model, batch, past, hostMs.median) : null;
  const counts = Object.entries(graph?.operations() ?? {}).map(([operation, count]) => [
    operation,
    { times: count },
  ]);
  const operationsByName: Operations = graph
    ? Object.fromEntries(counts)
    : await timeOperations(backend.name, steps, () => times(() => finished(issue())));
  cache.dispose();

  const results: ResultsOf<"host-time"> = {
    ...facts,
    backends: [backend],
    model: name,
    batch,
    past,
    execution: (dtype === "bfloat16" ? `${execution}+bf16` : execution) as Execution,
    traceMs,
    firstStepMs,
    operations: Object.values(operationsByName).reduce((sum, operation) => sum + operation.times, 0),
    operationsByName,
    hostMs,
    deviceMs,
    latencyMs: spread(latency),
    pipelinedMs: pipelinedMs / steps,
  };
  print(results, graph?.compiles(batch, 1));
  await save(json, results);
});

function print(results: ResultsOf<"host-time">, compiled: boolean | undefined): void {
  const { model, backends, batch, past, execution, operations, hostMs, deviceMs } = results;
  const eager = compiled === undefined;
  const tooLarge = execution.startsWith("xla") ? "; not compiled: batch too large for XLA on CPU" : "";
  const each = ` (${((1000 * hostMs.median) / operations).toFixed(1)} µs each)`;
  const line = (what: string, milliseconds: number | false | undefined, note = "") =>
    milliseconds && console.log(`${what.padEnd(22)} ${milliseconds.toFixed(2)} ms${note}`);
  console.log(
    `${model}, batch ${batch}, ${past} positions in the cache, ${execution}, on ${backends[0].description}`,
  );
  line("tracing", !eager && results.traceMs);
  line("first step", results.firstStepMs, compiled ? ", with XLA compilation" : tooLarge);
  console.log(`operations per step    ${operations}`);
  line("host time", eager && hostMs.median, each);
  line("GPU time", deviceMs?.median);
  line("latency", results.latencyMs.median);
  line("pipelined, per step", results.pipelinedMs);
  console.log(`\n       count  ${eager ? "host, µs each  " : ""}operation`);
  for (const [operation, { times, microseconds }] of Object.entries(results.operationsByName)) {
    const host = microseconds === undefined ? "" : ` ${microseconds.toFixed(1).padStart(14)}`;
    console.log(`${`${times}`.padStart(12)}${host}  ${operation}`);
  }
}

/** The operations of one step, most frequent first, with the host's time for each, averaged over some steps. */
async function timeOperations(backend: string, steps: number, run: () => Promise<void>): Promise<Operations> {
  const seen = new Map<string, { count: number; milliseconds: number }>();
  const kernels = tf.getKernelsForBackend(backend);
  for (const { kernelName, kernelFunc } of kernels) {
    replaceKernel(kernelName, backend, (call) => {
      const started = performance.now();
      const result = kernelFunc(call);
      const { count, milliseconds } = seen.get(kernelName) ?? { count: 0, milliseconds: 0 };
      seen.set(kernelName, { count: count + 1, milliseconds: milliseconds + performance.now() - started });
      return result;
    });
  }
  await run();
  for (const { kernelName, kernelFunc } of kernels) replaceKernel(kernelName, backend, kernelFunc);
  const byCount = [...seen].toSorted(([, a], [, b]) => b.count - a.count);
  const perStep = byCount.map(([name, { count, milliseconds }]) => [
    name,
    { times: count / steps, microseconds: (1000 * milliseconds) / count },
  ]);
  return Object.fromEntries(perStep) as Operations;
}
