import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { Command } from "commander";
import { type Backend, BACKENDS } from "../../../src/backend/backend.js";
import { kvCacheWrite } from "../../../src/backend/kv-cache-write.js";
import { FLOAT32 } from "../../../src/cost/cost.js";
import { checkTensorsFit } from "../../../src/cost/memory-check.js";
import { loadBackend } from "../../../src/index.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { integer } from "../../cli.js";
import { explainBackend } from "../../machine.js";
import { checkWritable } from "../../write-file.js";
import { spread } from "../measure.js";
import { provenance, save } from "../results-file.js";
import type { ResultsOf } from "../schema.js";
import { jsonOption, several, studyOf } from "../study.js";

type Sizes = ResultsOf<"cache-write">["sizes"];
type WriteCase = ResultsOf<"cache-write">["cases"][number];

interface Options extends Sizes {
  readonly backends: readonly Backend["name"][];
  readonly repeat: number;
  readonly json?: string;
}

/** One way to append a position. */
interface Strategy {
  /** True if the tensor has capacity for more positions than it holds, so that attention reads a slice of it. */
  readonly preallocated: boolean;
  /** Appends `update`, [K, 1, D], as position `length`; returns the tensor with all, the same one where it can. */
  write(past: Tensor3D, update: Tensor3D, length: number): Tensor3D;
}

/** The usual ways to write a KV cache: concatenation is the obvious one, in place is ours. */
const STRATEGIES: Readonly<Record<string, Strategy>> = {
  concat: { preallocated: false, write: (past, update) => tf.concat([past, update], 1) },
  scatter: {
    preallocated: true,
    write: (past, update, length) => {
      const [K, L, D] = past.shape;
      const indices = Array.from({ length: K }, (_, head) => [head * L + length]);
      const flat = [tf.reshape(past, [K * L, D]), tf.reshape(update, [K, D])] as const;
      return tf.reshape(tf.tensorScatterUpdate(flat[0], tf.tensor2d(indices, [K, 1], "int32"), flat[1]), [
        K,
        L,
        D,
      ]);
    },
  },
  "in place": {
    preallocated: true,
    write: (past, update, length) => {
      kvCacheWrite(past, update, length);
      return past;
    },
  },
};

/** A sample is as many steps as fit in so many milliseconds, at least one; its time is theirs divided by the number. */
const SAMPLE_MS = 5;

/** Caches that exist at once, at most: two preallocated, the past, and what a strategy makes and attention reads. */
const CACHES = 6;

const program = new Command("npm run bench --")
  .description("Times three ways to append a position to a KV cache: concat, scatter, write in place.")
  .addOption(several("--backends <names>", "compute backends", BACKENDS, [...BACKENDS]))
  .option("--heads <n>", "KV heads times batch size", integer(), 8)
  .option("--capacity <n>", "positions the cache has memory for", integer(), 1024)
  .option("--head-dim <n>", "numbers per head", integer(), 64)
  .option("--repeat <n>", "samples of each", integer(), 15)
  .addOption(jsonOption());

/** Times three ways to append a position. */
export const study = studyOf<Options>("cache-write", program, async (options, signal) => {
  const { backends: backendNames, json, repeat, heads, capacity, headDim } = options;
  if (json) await checkWritable(json);
  const facts = await provenance("cache-write");
  const sixteenths = [1, 2, 4, 8, 12, 15]; // a slice of all 16 would be no copy
  const lengths = sixteenths.map((part) => Math.max(1, Math.round((part * capacity) / 16)));
  const sizes = { heads, capacity, headDim };
  const backends: Backend[] = [];
  const cases: WriteCase[] = [];
  for (const name of backendNames) {
    const backend = await loadBackend(name).catch(explainBackend);
    backends.push(backend);
    const what = `the cache of ${heads} heads, ${capacity} positions and ${headDim} numbers for each, ${CACHES} times at once,`;
    const bytes = CACHES * FLOAT32 * heads * capacity * headDim;
    checkTensorsFit(bytes, what, "use a smaller --heads, --capacity or --head-dim");
    console.log(`${backend.description}: µs per write, and with the read for attention; bytes allocated`);
    for (const length of lengths) {
      for (const one of await measure(backend.name, length, sizes, repeat, signal)) {
        cases.push(one);
        const times = [one.writeMicroseconds, one.writeAndReadMicroseconds].map(({ median }) =>
          median.toFixed(1),
        );
        const sizesText = [one.writeBytes, one.writeAndReadBytes].map((n) => n.toLocaleString("en-US"));
        const numbers = [...times, ...sizesText].map((text) => text.padStart(10));
        console.log(`${`${length}`.padStart(6)} ${one.strategy.padEnd(8)} ${numbers.join(" ")}`);
      }
    }
  }
  const loaded = backends as [Backend, ...Backend[]];
  await save(json, { ...facts, backends: loaded, model: null, sizes, cases });
});

/** All strategies at one length, alternating sample by sample. */
async function measure(
  backend: Backend["name"],
  length: number,
  { heads, capacity, headDim }: Sizes,
  repeat: number,
  signal: AbortSignal,
): Promise<WriteCase[]> {
  const random = (positions: number) =>
    tf.randomNormal<tf.Rank.R3>([heads, positions, headDim], 0, 1, "float32", 1);
  const [past, update] = [random(length - 1), random(1)];
  const ways = Object.entries(STRATEGIES).map(([strategy, { preallocated, write }]) => {
    const held = preallocated
      ? tf.pad(past, [
          [0, 0],
          [0, capacity - length + 1],
          [0, 0],
        ])
      : tf.clone(past);
    const writeOnly = () => write(held, update, length - 1);
    const sliced = () => tf.slice(writeOnly(), [0, 0, 0], [heads, length, headDim]);
    const samples = { write: [] as number[], both: [] as number[] };
    return { strategy, held, writeOnly, writeAndRead: preallocated ? sliced : writeOnly, samples };
  });
  const results = ways.map(({ writeAndRead }) => tf.tidy(() => writeAndRead().dataSync<"float32">()));
  if (results.some((values) => values.some((value, i) => value !== results[0]![i]))) {
    throw new Error(`the strategies disagree at length ${length}`);
  }
  const timed = (step: () => Tensor3D, steps: number) => {
    const started = performance.now();
    for (let i = 0; i < steps; i++) tf.tidy(() => void step());
    return (performance.now() - started) / steps;
  };
  const sample = (step: () => Tensor3D) => {
    const steps = Math.max(1, Math.floor(SAMPLE_MS / timed(step, 1))); // the first also warms up
    return 1000 * timed(step, steps);
  };
  for (let i = 0; i < repeat; i++) {
    await yieldToEventLoop(signal);
    for (const { writeOnly, writeAndRead, samples } of ways) {
      samples.write.push(sample(writeOnly));
      samples.both.push(sample(writeAndRead));
    }
  }
  const cases: WriteCase[] = [];
  for (const { strategy, writeOnly, writeAndRead, samples } of ways) {
    const [writeMicroseconds, writeAndReadMicroseconds] = [spread(samples.write), spread(samples.both)];
    const [writeBytes, writeAndReadBytes] = [await allocated(writeOnly), await allocated(writeAndRead)];
    const times = { writeMicroseconds, writeAndReadMicroseconds };
    cases.push({ backend, strategy, length, ...times, writeBytes, writeAndReadBytes });
  }
  tf.dispose([past, update, ...ways.map(({ held }) => held)]);
  return cases;
}

/** Bytes of the operations' results; a reshaped tensor shares its memory. */
async function allocated(act: () => Tensor3D): Promise<number> {
  const { kernels } = await tf.profile(() => tf.tidy(() => void act()));
  const shapes = kernels.filter(({ name }) => name !== "Reshape").flatMap(({ outputShapes }) => outputShapes);
  return shapes.reduce((sum, shape) => sum + FLOAT32 * tf.util.sizeFromShape(shape), 0);
}
