/* Run by try-backend.ts in a process of its own: loads the backend, on the device, of the command line; prints a line of JSON. */
import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../../src/util/errors.js";
import { type Device, loadBackend } from "../../src/backend/backend.js";
import { kvCacheWrite } from "../../src/backend/kv-cache-write.js";
import { libraryVersion } from "../../src/backend/tensorflow.js";
import type { Attempt } from "./try-backend.js";

async function attempt(name: string, wanted?: Device): Promise<Attempt> {
  const started = performance.now();
  const { device, description } = await loadBackend(name, { device: wanted });
  const product = tf.matMul(tf.ones([4, 8]), tf.ones([8, 3]));
  expectNumbers("matMul", product, Array<number>(12).fill(8));
  const cache = tf.zeros<tf.Rank.R3>([2, 3, 2]);
  kvCacheWrite(cache, tf.ones([2, 1, 2]), 1);
  expectNumbers("KVCacheWrite", cache, [0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0]);
  const milliseconds = Math.round(performance.now() - started);
  const tensorflow = libraryVersion();
  return { usable: true, device, description, milliseconds, ...(tensorflow && { tensorflow }) };
}

function expectNumbers(what: string, tensor: tf.Tensor, expected: readonly number[]): void {
  const actual = [...tensor.dataSync()];
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new InputError(`${what} gives ${actual.join(" ")}, expected ${expected.join(" ")}`);
  }
}

const result = await attempt(process.argv[2]!, process.argv[3] as Device | undefined).catch(
  (error: unknown): Attempt => {
    if (!(error instanceof InputError)) throw error;
    return { usable: false, reason: error.message };
  },
);
process.stdout.write(`${JSON.stringify(result)}\n`);
