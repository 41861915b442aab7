import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { Model, Probe } from "../../src/index.js";
import type { Cache } from "../../src/model/model.js";
import { spread } from "./measure.js";
import type { Spread } from "./schema.js";

/** Runs the model on some positions of every sequence and leaves the logits on the device. */
export const forward = (model: Model, batch: number, cache: Cache, length = 1, probe?: Probe): Tensor2D =>
  model.forward(Array<number[]>(batch).fill(Array<number>(length).fill(1)), cache, probe);

/** Milliseconds that something takes. */
export async function timed(work: () => Promise<void> | void): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Copies the logits to the host, as generation does. */
export async function finished(logits: Tensor2D): Promise<void> {
  await logits.data();
  logits.dispose();
}

/**
 * GPU time of the part of a step that follows the first block's attention. Before this part the GPU gets so much other
 * work that the host has issued the whole part before the GPU begins with it; the time beyond that work alone is the
 * part's. (An upload would make the host wait for the GPU. A step's uploads come earlier, except for the cache's write
 * positions, which a twin of the cache has just sent.)
 *
 * @returns milliseconds; null where the work was too short
 */
export async function timeOnGpu(
  model: Model,
  batch: number,
  past: number,
  hostMs: number,
): Promise<Spread | null> {
  const repeats = 9;
  const [twin, cache] = [1, 2].map(() => model.createCache(batch, past + repeats)) as [Cache, Cache];
  for (const one of [twin, cache]) forward(model, batch, one, past).dispose();
  const matrix = tf.zeros<tf.Rank.R2>([4096, 4096]);
  const work = (matmuls: number) => {
    for (let i = 0; i < matmuls; i++) tf.matMul(matrix, matrix).dispose();
  };
  const ready = async (tensor: Tensor2D) => {
    const first = tf.slice(tensor, [0, 0], [1, 1]); // copying all of it to the host is not GPU time
    tensor.dispose();
    await finished(first);
  };
  const timeWork = (matmuls: number) =>
    timed(() => {
      work(matmuls);
      return ready(tf.matMul(matrix, matrix));
    });
  await timeWork(10);
  const matmuls = Math.ceil((4 * hostMs * 50) / (await timeWork(50)));

  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const alone = await timeWork(matmuls);
    await finished(forward(model, batch, twin));
    let started = 0;
    const logits = forward(model, batch, cache, 1, (name, layer) => {
      if (name !== "attention.output" || layer !== 0) return;
      started = performance.now();
      work(matmuls + 1);
    });
    const issued = performance.now() - started;
    await ready(logits);
    if (issued < alone) times.push(performance.now() - started - alone);
  }
  matrix.dispose();
  for (const one of [twin, cache]) one.dispose();
  return times.length > repeats / 2 ? spread(times) : null;
}
