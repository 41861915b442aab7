import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { Command } from "commander";
import { type Backend, type BackendName, BACKENDS } from "../../../src/backend/backend.js";
import { kvCacheWrite } from "../../../src/backend/kv-cache-write.js";
import { FLOAT32 } from "../../../src/cost/cost.js";
import { loadBackend } from "../../../src/index.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { integer } from "../../cli.js";
import { explainBackend } from "../../machine.js";
import { spread } from "../measure.js";
import type { Results, Spread } from "../results.js";
import { jsonOption, printTitle, several, studyOf } from "../study.js";
import { megabytes, type Table, tableOf } from "../table.js";

interface Options {
  readonly backends: readonly BackendName[];
  readonly repeat: number;
}

interface WriteCase {
  readonly backend: BackendName;
  readonly strategy: string;
  /** Positions after the write. */
  readonly length: number;
  readonly writeMicroseconds: Spread;
  /** With the slice of all positions that attention reads. */
  readonly writeAndReadMicroseconds: Spread;
  /** Newly allocated. */
  readonly writeBytes: number;
  readonly writeAndReadBytes: number;
}

/** Times of the ways to append a position. */
export interface CacheWrite extends Results<"cache-write"> {
  /** Of one layer's keys. */
  readonly sizes: { readonly heads: number; readonly capacity: number; readonly headDim: number };
  readonly cases: readonly WriteCase[];
}

/** KV heads and head dim of Llama 3.2 1B, and a capacity. */
const [K, D, L] = [8, 64, 1024];

/** Positions after the write: a slice of the whole capacity would be no copy. */
const LENGTH = (15 / 16) * L;

/** One way to append `update`, [K, 1, D], as position `length`; returns the tensor with all, the same where it can. */
type Write = (past: Tensor3D, update: Tensor3D, length: number) => Tensor3D;

/** The usual ways to write a KV cache: concatenation is the obvious one, in place is ours. */
const STRATEGIES: Readonly<Record<string, Write>> = {
  concat: (past, update) => tf.concat([past, update], 1),
  scatter: (past, update, length) => {
    const indices = Array.from({ length: K }, (_, head) => [head * L + length]);
    const flat = tf.tensorScatterUpdate(
      tf.reshape(past, [K * L, D]),
      tf.tensor2d(indices, [K, 1], "int32"),
      tf.reshape(update, [K, D]),
    );
    return tf.reshape(flat, [K, L, D]);
  },
  "in place": (past, update, length) => {
    kvCacheWrite(past, update, length);
    return past;
  },
};

/** A sample is as many writes as fit in this time, at least one; its time is theirs divided by their number. */
const SAMPLE_MS = 5;

/** Times three ways to append a position. */
export const study = studyOf<Options, CacheWrite>({
  name: "cache-write",
  program: new Command("npm run bench --")
    .description("Time three ways to append a position to a KV cache: concat, scatter, write in place.")
    .addOption(several("--backends <names>", "compute backends", BACKENDS, [...BACKENDS]))
    .option("--repeat <n>", "samples of each", integer(), 15)
    .addOption(jsonOption()),
  async measure({ backends: names, repeat }, signal) {
    const backends: Backend[] = [];
    const cases: WriteCase[] = [];
    for (const name of names) {
      const backend = await loadBackend(name).catch(explainBackend);
      backends.push(backend);
      printTitle(null, backend);
      cases.push(...(await compare(name, repeat, signal)));
    }
    const loaded = backends as [Backend, ...Backend[]];
    return { backends: loaded, model: null, sizes: { heads: K, capacity: L, headDim: D }, cases };
  },
  tables: (results) => [writeTable(results)],
});

/** The strategies at the largest length; older files have several. */
export function writeTable({ cases }: CacheWrite): Table {
  const longest = Math.max(...cases.map(({ length }) => length));
  const rows = cases.filter(({ length }) => length === longest);
  return tableOf(rows, {
    backend: ({ backend }) => backend,
    strategy: ({ strategy }) => strategy,
    "write µs": ({ writeMicroseconds }) => writeMicroseconds.median.toFixed(1),
    "write + read µs": ({ writeAndReadMicroseconds }) => writeAndReadMicroseconds.median.toFixed(1),
    "allocated MB": ({ writeBytes }) => megabytes(writeBytes),
    "allocated with read MB": ({ writeAndReadBytes }) => megabytes(writeAndReadBytes),
  });
}

/** All strategies, alternating sample by sample. @throws Error if their results differ */
async function compare(backend: BackendName, repeat: number, signal: AbortSignal): Promise<WriteCase[]> {
  const random = (positions: number) => tf.randomNormal<tf.Rank.R3>([K, positions, D], 0, 1, "float32", 1);
  const [past, update] = [random(LENGTH - 1), random(1)];
  const ways = Object.entries(STRATEGIES).map(([strategy, append]) => {
    const preallocated = strategy !== "concat"; // then attention reads a slice
    const held = preallocated ? tf.concat([past, random(L - LENGTH + 1)], 1) : tf.clone(past);
    const write = () => append(held, update, LENGTH - 1);
    const read = () => (preallocated ? tf.slice(write(), [0, 0, 0], [K, LENGTH, D]) : write());
    return { strategy, held, write, read, writes: [] as number[], reads: [] as number[] };
  });
  const results = ways.map(({ read }) => tf.tidy(() => read().dataSync<"float32">()));
  if (results.some((values) => values.some((value, i) => value !== results[0]![i]))) {
    throw new Error("the strategies disagree");
  }
  for (let i = 0; i < repeat; i++) {
    await yieldToEventLoop(signal);
    for (const { write, read, writes, reads } of ways) {
      writes.push(microseconds(write));
      reads.push(microseconds(read));
    }
  }
  const cases: WriteCase[] = [];
  for (const { strategy, write, read, writes, reads } of ways) {
    cases.push({
      backend,
      strategy,
      length: LENGTH,
      writeMicroseconds: spread(writes),
      writeAndReadMicroseconds: spread(reads),
      writeBytes: await allocated(write),
      writeAndReadBytes: await allocated(read),
    });
  }
  tf.dispose([past, update, ...ways.map(({ held }) => held)]);
  return cases;
}

/** One sample of what something takes. */
function microseconds(act: () => Tensor3D): number {
  const timed = (times: number) => {
    const started = performance.now();
    for (let i = 0; i < times; i++) tf.tidy(() => void act());
    return (performance.now() - started) / times;
  };
  return 1000 * timed(Math.max(1, Math.floor(SAMPLE_MS / timed(1)))); // the first also warms up
}

/** Bytes of the operations' results; a reshaped tensor shares its memory. */
async function allocated(act: () => Tensor3D): Promise<number> {
  const { kernels } = await tf.profile(() => tf.tidy(() => void act()));
  const shapes = kernels.filter(({ name }) => name !== "Reshape").flatMap(({ outputShapes }) => outputShapes);
  return shapes.reduce((sum, shape) => sum + FLOAT32 * tf.util.sizeFromShape(shape), 0);
}
