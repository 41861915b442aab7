import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import { InputError } from "../errors.js";
import type { Engine } from "./engine.js";
import { registerKVCacheWrite } from "./kv-cache-write.js";
import { replaceKernel } from "./replace-kernel.js";
import { matMul, writeInPlace } from "./tensorflow-kernels.js";

const PACKAGE = "@tensorflow/tfjs-node-gpu";
const require = createRequire(import.meta.url);

/** Whether the engine's native part, which npm alone does not bring, is there. */
export function isInstalled(): boolean {
  try {
    const directory = dirname(require.resolve(`${PACKAGE}/package.json`));
    return existsSync(join(directory, "lib", "napi-v8", "tfjs_binding.node"));
  } catch {
    return false; // an optional dependency: the package itself may be missing
  }
}

/**
 * TensorFlow's own kernels: on CUDA where there is a card, else on all CPU cores.
 *
 * @throws InputError where the native part is missing or cannot be loaded
 */
export async function load(): Promise<Engine> {
  if (!isInstalled()) {
    throw new InputError(
      `engine tensorflow is not installed: the native part of ${PACKAGE} is missing; ` +
        "`npm run setup:tensorflow` gets it (see the README), and --engine wasm needs nothing more",
    );
  }
  // Read when the library is loaded: take memory as it is needed instead of the whole card, and log only errors.
  process.env["TF_FORCE_GPU_ALLOW_GROWTH"] ??= "true";
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "2";
  restoreNodeUtilities();
  try {
    require(PACKAGE);
  } catch (error) {
    const { message } = error as Error;
    throw new InputError(
      `engine tensorflow is installed but cannot be loaded (${message}); \`npm run setup:tensorflow\` repairs it`,
    );
  }
  registerKVCacheWrite("tensorflow", writeInPlace);
  replaceKernel(tf.BatchMatMul, "tensorflow", matMul);
  const backend = tf.findBackend("tensorflow") as NodeJSKernelBackend;
  const device = backend.isUsingGpuDevice ? "cuda" : "cpu";
  const version = (backend.binding as unknown as { TF_Version: string }).TF_Version;
  return { name: "tensorflow", device, description: `tensorflow (TensorFlow ${version} on ${device})` };
}

// tfjs-node 4.22 calls two functions that Node 23 removed.
function restoreNodeUtilities(): void {
  const util = require("node:util") as Record<string, unknown>;
  util["isNullOrUndefined"] ??= (value: unknown) => value === null || value === undefined;
  util["isArray"] ??= Array.isArray;
}
