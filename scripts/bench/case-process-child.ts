import * as tf from "@tensorflow/tfjs-core";
import { outOfMemory } from "../../src/backend/tensorflow-messages.js";
import { checkGenerationFits } from "../../src/cost/memory-check.js";
import { type Comparison, compareModes } from "../../src/generation/compare.js";
import { InputError } from "../../src/index.js";
import type { ModelOptions } from "../model-options.js";
import { openBackend, openModel } from "../open-model.js";
import type { CaseSpec } from "./case.js";
import { usedOnGpu } from "./gpu-memory.js";
import { benchPrompts, GREEDY, measureGeneration } from "./measure.js";

// The process of one case: see running-case.ts. It does one task per message and answers with the result or the error.

const { options, spec } = JSON.parse(process.argv[2]!) as { options: ModelOptions; spec: CaseSpec };
const { useCache, execution, batch, input, output } = spec;
let opened: Awaited<ReturnType<typeof openModel>>;
let warm = false;
let context: number | null = null;

const TASKS = { open, first, run, compare };
/** The tasks by their names; each result is one that can be sent. */
export type Tasks = typeof TASKS;
/** The result of a task. */
export type ResultOf<Task extends keyof Tasks> = Awaited<ReturnType<Tasks[Task]>>;

process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the parent ends this process
process.on("disconnect", () => process.exit());
process.on("message", (task: keyof Tasks) => {
  TASKS[task]().then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: (outOfMemory(error) ?? error).message }),
  );
});

async function open() {
  const { device } = await openBackend(options);
  if (device === "cuda") {
    tf.tidy(() => tf.matMul(tf.ones([2, 2]), tf.ones([2, 2])).dataSync()); // has CUDA's libraries loaded
    context = await usedOnGpu();
  }
  opened = await openModel(options);
  return { backend: opened.backend, model: opened.name };
}

/** The time of each step of the process's first generation, with tracing and compiling. */
async function first(): Promise<number[]> {
  return (await measureGeneration(opened.model, prompts(true), { maxGenLen: output, useCache }, false))
    .stepMs;
}

/** One measured run, the first after a warm-up; all bytes at the peak. */
async function run() {
  if (!warm) await warmUp();
  const measured = await generate(output);
  const onGpu = opened.backend.device === "cuda";
  // TensorFlow returns no memory to the GPU before it ends, so what is in use now is the peak.
  const bytes = {
    process: process.resourceUsage().maxRSS * 1024,
    device: onGpu ? await usedOnGpu() : null,
    context,
  };
  return { ...measured, memory: bytes };
}

/** Kernels are compiled and memory is allocated on first use, and a graph is traced. */
async function warmUp(): Promise<void> {
  await generate(execution === "eager" ? Math.min(2, output) : output);
  warm = true;
}

/** Both modes in lockstep, untimed: tokens and logits. Null where memory does not suffice for both at once. */
async function compare(): Promise<Comparison | null> {
  try {
    return await compareModes(opened.model, prompts(false), { ...GREEDY, maxGenLen: output });
  } catch (error) {
    if (error instanceof InputError || outOfMemory(error)) return null; // the options have passed all checks but of memory
    throw error;
  }
}

const generate = (maxGenLen: number) =>
  measureGeneration(opened.model, prompts(useCache), { maxGenLen, useCache });

/** The prompts of the case, if it fits in memory: the prompts alone could be too much. */
function prompts(cached: boolean): number[][] {
  const { config, longestChunk } = opened.model;
  checkGenerationFits(config, { batch, input, output, useCache: cached, longestChunk });
  return benchPrompts(batch, input, config.vocabSize);
}
