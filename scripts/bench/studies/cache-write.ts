import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { Command, Option } from "commander";
import { machineFacts } from "../../machine.js";
import { checkTensorsFit } from "../../../src/cost/memory-check.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { FLOAT32 } from "../../../src/cost/cost.js";
import { type Backend, BACKENDS } from "../../../src/backend/backend.js";
import { loadBackend } from "../../../src/index.js";
import { spread, type Spread } from "../measure.js";
import { measuringWords } from "../rerun.js";
import { currentCommit } from "../results.js";
import { main, names, integer } from "../../cli.js";
import { read, type Sizes, STRATEGIES, type Strategy } from "./cache-write-strategies.js";
import { checkWritable, fileName, writeResults } from "../../write-file.js";

/** One way, on one backend, at one length. */
export interface WriteCell {
  readonly backend: Backend["name"];
  readonly strategy: string;
  /** Positions after the write. */
  readonly length: number;
  /** Of adding one position. */
  readonly writeMicroseconds: Spread;
  /** Of adding one and handing all to attention. */
  readonly writeAndReadMicroseconds: Spread;
  /** New memory that the write took, and that writing and reading took. */
  readonly writeBytes: number;
  readonly writeAndReadBytes: number;
}

/** What the study writes. */
export interface WriteStudy {
  readonly date: string;
  readonly command: readonly string[];
  readonly machine: Awaited<ReturnType<typeof machineFacts>>;
  readonly backends: readonly Backend[];
  readonly commit: string | null;
  readonly changed: boolean | null;
  readonly sizes: Sizes;
  readonly cells: readonly WriteCell[];
}

interface Options {
  readonly backends: readonly string[];
  readonly rows: number;
  readonly room: number;
  readonly headDim: number;
  readonly repeat: number;
  readonly json?: string;
}

/** A sample is as many steps as fit into so many milliseconds, one at least; its time is theirs divided by the number. */
const SAMPLE_MS = 5;

/** Caches that exist at once, at most: two with room, the past, and what a strategy makes and attention reads of it. */
const CACHES = 6;

const program = new Command("npm run write-strategies --")
  .description("Times three ways to add a position to a KV cache: concatenate, scatter, write in place.")
  .configureHelp({ helpWidth: 80 })
  .addOption(
    new Option("--backends <names>", "with commas")
      .argParser(names(BACKENDS))
      .default([...BACKENDS], BACKENDS.join()),
  )
  .option("--rows <n>", "batch times key/value heads", integer(), 8)
  .option("--room <n>", "positions that the cache can hold", integer(), 1024)
  .option("--head-dim <n>", "numbers of one head", integer(), 64)
  .option("--repeat <n>", "samples of each", integer(), 15)
  .option("--json <file>", "write all samples and the machine to a file", fileName);

await main<Options>(program, async ({ backends, json, repeat, ...sizes }, signal) => {
  if (json) await checkWritable(json);
  const lengths = [1, 2, 4, 8, 12, 15].map((part) => Math.max(1, Math.round((part * sizes.room) / 16))); // a slice of all is no copy
  const loaded: Backend[] = [];
  const cells: WriteCell[] = [];
  for (const name of backends) {
    const backend = await loadBackend(name);
    loaded.push(backend);
    checkSizesFit(sizes);
    console.log(`${backend.description}: µs a write, and with what attention then reads; bytes taken anew`);
    for (const length of lengths) {
      const measured = await measure(backend.name, length, sizes, repeat, signal);
      cells.push(...measured);
      for (const cell of measured) {
        const times = [cell.writeMicroseconds, cell.writeAndReadMicroseconds].map(({ median }) => median.toFixed(1).padStart(9)); // prettier-ignore
        const bytes = [cell.writeBytes, cell.writeAndReadBytes].map((n) =>
          n.toLocaleString("en-US").padStart(10),
        );
        console.log(
          `${`${length}`.padStart(6)} ${cell.strategy.padEnd(8)} ${[...times, ...bytes].join(" ")}`,
        );
      }
    }
  }
  if (!json) return;
  const study: WriteStudy = {
    date: new Date().toISOString(),
    command: measuringWords(process.argv.slice(2)),
    machine: await machineFacts(),
    backends: loaded,
    ...(await currentCommit()),
    sizes,
    cells,
  };
  await writeResults(json, study);
});

/** Refuses sizes that the backend in use has no room for, before anything is made. */
function checkSizesFit({ rows, room, headDim }: Sizes): void {
  const bytes = CACHES * FLOAT32 * rows * room * headDim;
  const what = `the cache of ${rows} rows, ${room} positions and ${headDim} numbers for each, ${CACHES} times at once,`;
  checkTensorsFit(bytes, what, "expected a smaller --rows, --room or --head-dim");
}

/** All strategies at one length, taking turns sample by sample. */
async function measure(
  backend: Backend["name"],
  length: number,
  sizes: Sizes,
  repeat: number,
  signal: AbortSignal,
): Promise<WriteCell[]> {
  const past = tf.randomNormal<tf.Rank.R3>([sizes.rows, length - 1, sizes.headDim], 0, 1, "float32", 1);
  const update = tf.randomNormal<tf.Rank.R3>([sizes.rows, 1, sizes.headDim], 0, 1, "float32", 2);
  const ways = Object.entries(STRATEGIES).map(([strategy, way]) => ({
    strategy,
    way,
    held: way.prepare(past, sizes),
    samples: { write: [] as number[], both: [] as number[] },
  }));
  checkAgreement(past, update, sizes);
  const once = (way: Strategy, held: Tensor3D, reading: boolean) => {
    const all = way.write(held, update, length - 1);
    if (reading) read(all, way, length);
  };
  const times = (way: Strategy, held: Tensor3D, reading: boolean, steps: number) => {
    const started = performance.now();
    for (let i = 0; i < steps; i++) tf.tidy(() => once(way, held, reading));
    return (performance.now() - started) / steps;
  };
  for (let sample = 0; sample < repeat; sample++) {
    await yieldToEventLoop(signal);
    for (const { way, held, samples } of ways) {
      for (const [reading, microseconds] of [
        [false, samples.write],
        [true, samples.both],
      ] as const) {
        // prettier-ignore
        const steps = Math.max(1, Math.floor(SAMPLE_MS / times(way, held, reading, 1))); // warms up, too
        microseconds.push(1000 * times(way, held, reading, steps));
      }
    }
  }
  const cells: WriteCell[] = [];
  for (const { strategy, way, held, samples } of ways) {
    cells.push({
      backend,
      strategy,
      length,
      writeMicroseconds: spread(samples.write),
      writeAndReadMicroseconds: spread(samples.both),
      writeBytes: await bytesTaken(() => once(way, held, false)),
      writeAndReadBytes: await bytesTaken(() => once(way, held, true)),
    });
  }
  tf.dispose([past, update, ...ways.map(({ held }) => held)]);
  return cells;
}

/** The strategies are one computation: what attention reads is the same, to the bit. */
function checkAgreement(past: Tensor3D, update: Tensor3D, sizes: Sizes): void {
  const length = past.shape[1] + 1;
  const results = Object.values(STRATEGIES).map((way) =>
    tf.tidy(() =>
      read(way.write(way.prepare(past, sizes), update, length - 1), way, length).dataSync<"float32">(),
    ),
  );
  if (results.some((values) => values.some((value, i) => value !== results[0]![i]))) {
    throw new Error(`the strategies disagree at length ${length}`);
  }
}

/** Bytes that the operations' results take; a reshaped tensor shares its memory. */
async function bytesTaken(act: () => void): Promise<number> {
  const { kernels } = await tf.profile(() => tf.tidy(act));
  const made = kernels.filter(({ name }) => name !== "Reshape").flatMap(({ outputShapes }) => outputShapes);
  return made.reduce((sum, shape) => sum + 4 * tf.util.sizeFromShape(shape), 0);
}
