import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { checkGenerationFits } from "../../../src/cost/memory-check.js";
import { GraphLlama, InputError } from "../../../src/index.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { integer } from "../../cli.js";
import { command, type ModelOptions, withRandomWeights } from "../../model-options.js";
import { modelConfig, openModel } from "../../open-model.js";
import { checkWritable } from "../../write-file.js";
import type { Execution } from "../case.js";
import { spread, trace } from "../measure.js";
import { provenance, save } from "../results-file.js";
import type { ResultsOf } from "../schema.js";
import { jsonOption, studyOf } from "../study.js";

/** Times a step by name. */
type Operations = Readonly<Record<string, number>>;

interface Options extends ModelOptions {
  readonly batch: number;
  readonly past: number;
  readonly steps: number;
  readonly json?: string;
}

const description = "Times one decode step: its operations, the host time to issue them, and the latency.";

const program = withRandomWeights(command("bench", description))
  .option("--batch <n>", "batch size", integer(), 1)
  .option("--past <n>", "positions in the cache", integer(), 256)
  .option("--steps <n>", "decode steps to time", integer(), 32)
  .addOption(jsonOption());

/** Times one decode step: what the host needs to issue its operations, and until the result is there. */
export const study = studyOf<Options>("host-time", program, async (options, signal) => {
  const { batch, past, steps, json, execution, dtype } = options;
  const positions = past + 3 * steps + 2; // first, warm-up, waiting, pipelined, counted
  const { maxSeqLen } = await modelConfig(options);
  if (positions > maxSeqLen) {
    throw new InputError(
      `past ${past} and 3 * ${steps} + 2 steps make ${positions} positions, the model's context has ${maxSeqLen}`,
    );
  }
  if (json) await checkWritable(json);
  const facts = { ...(await provenance("host-time")), tf32: options.tf32 === "on" };
  const { backend, model, name } = await openModel(options);
  checkGenerationFits(model.config, { batch, input: past, output: 3 * steps + 2, useCache: true });
  const traceMs = await timed(() => trace(model, batch, positions));
  const cache = model.createCache(batch, positions);
  const ids = (length: number) => Array<number[]>(batch).fill(Array<number>(length).fill(1));
  const issue = () => model.forward(ids(1), cache);
  const repeat = async (step: () => Promise<void> | void) => {
    for (let i = 0; i < steps; i++) {
      await yieldToEventLoop(signal);
      await step();
    }
  };

  model.forward(ids(past), cache).dispose();
  await yieldToEventLoop(signal);
  const firstStepMs = await timed(() => finished(issue())); // XLA compiles, kernels are prepared
  await repeat(() => finished(issue())); // warm-up
  // When the call returns, the host has issued all operations; when the logits are read, the device has run them.
  const [issued, latency]: [number[], number[]] = [[], []];
  await repeat(async () => {
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
  const operations = graph?.operations() ?? (await countOperations(() => issue().dispose()));
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
    operations: Object.values(operations).reduce((sum, count) => sum + count, 0),
    operationsByName: Object.fromEntries(
      Object.entries(operations).map(([operation, count]) => [operation, { times: count }]),
    ),
    hostMs,
    latencyMs: spread(latency),
    pipelinedMs: pipelinedMs / steps,
  };
  print(results, graph?.compiles(batch, 1));
  await save(json, results);
});

/** Milliseconds that something takes. */
async function timed(work: () => Promise<void> | void): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Copies the logits to the host, as generation does. */
async function finished(logits: Tensor2D): Promise<void> {
  await logits.data();
  logits.dispose();
}

function print(results: ResultsOf<"host-time">, compiled: boolean | undefined): void {
  const { model, backends, batch, past, execution, operations, hostMs } = results;
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
  line("latency", results.latencyMs.median);
  line("pipelined, per step", results.pipelinedMs);
  console.log("\n       count  operation");
  for (const [operation, { times }] of Object.entries(results.operationsByName)) {
    console.log(`${`${times}`.padStart(12)}  ${operation}`);
  }
}

/** The operations of one step by name, most frequent first. */
async function countOperations(step: () => void): Promise<Operations> {
  const { kernels } = await tf.profile(step);
  const counts = new Map<string, number>();
  for (const { name } of kernels) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries([...counts].toSorted(([, a], [, b]) => b - a));
}
