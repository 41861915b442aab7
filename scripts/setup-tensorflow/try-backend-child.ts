/* Run by try-backend.ts: loads the backend of the command line, on its device, and prints the result as JSON. */
import * as tf from "@tensorflow/tfjs-core";
import type { Device } from "../../src/backend/backend.js";
import { kvCacheWrite } from "../../src/backend/kv-cache-write.js";
import { loadBackend } from "../../src/backend/load-backend.js";
import { InputError } from "../../src/util/errors.js";
import { explainBackend } from "../machine.js";
import type { Attempt } from "./try-backend.js";

async function attempt(name: string, required?: Device): Promise<Attempt> {
  const started = performance.now();
  const { device, description } = await loadBackend(name, { device: required }).catch(explainBackend);
  const cache = tf.zeros<tf.Rank.R3>([2, 3, 2]);
  kvCacheWrite(cache, tf.ones([2, 1, 2]), 1);
  for (const [operation, tensor, expected] of [
    ["matMul", tf.matMul(tf.ones([2, 8]), tf.ones([8, 3])), "8 8 8 8 8 8"],
    ["KVCacheWrite", cache, "0 0 1 1 0 0 0 0 1 1 0 0"],
  ] as const) {
    const actual = tensor.dataSync().join(" ");
    if (actual !== expected) throw new InputError(`${operation} must return ${expected}, got ${actual}`);
  }
  const milliseconds = Math.round(performance.now() - started);
  return { usable: true, device, description, milliseconds };
}

const [, , name, device] = process.argv;
const result = await attempt(name!, device as Device | undefined).catch((error: unknown): Attempt => {
  if (!(error instanceof InputError)) throw error;
  return { usable: false, reason: error.message };
});
process.stdout.write(`${JSON.stringify(result)}\n`);
