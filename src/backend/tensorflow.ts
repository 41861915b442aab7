import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import { InputError } from "../util/errors.js";
import { cacheDirectory } from "../util/cache-directory.js";
import type { Backend, BackendOptions } from "./backend.js";
import { registerKVCacheWrite } from "./kv-cache-write.js";
import { replaceKernel } from "./replace-kernel.js";
import { matMul, mean, withSharedNumbers, writeInPlace } from "./tensorflow-kernels.js";

/** The npm package that the native part belongs to. */
export const PACKAGE = "@tensorflow/tfjs-node-gpu";

/** What is on, once the library has been loaded: it reads this once in a process. */
let settled: { readonly tf32: boolean } | undefined;

/** Whether operations share their numbers already: they are wrapped once, however often the backend is loaded. */
let shared = false;

/**
 * For XLA on a card. Without Triton's products, which it would choose by trying them out: with bfloat16 weights and 16
 * rows some of those it chose gave scores that were no numbers. And without its way of turning a product for one row
 * into a multiplication and a sum, which writes a matrix of the size of the weights in between; and without its merging
 * of products that share an input, for which it copies their weights together in every step.
 */
const XLA_FLAGS = [
  "--xla_gpu_enable_triton_gemm=false",
  "--xla_disable_hlo_passes=dot-strength-reduction",
  "--xla_gpu_dot_merger_threshold_mb=0",
].join(" ");

const require = createRequire(import.meta.url);

/** The directory of TensorFlow's Node package, which `npm ci` brings without its native part; undefined without it. */
export function packageDirectory(): string | undefined {
  try {
    return dirname(require.resolve(`${PACKAGE}/package.json`));
  } catch {
    return undefined; // an optional dependency
  }
}

/** Where the native part is, within the package. */
export const ADDON = join("lib", "napi-v8", "tfjs_binding.node");

/** Whether the backend's native part, which npm alone does not bring, is there. */
export function isInstalled(): boolean {
  const directory = packageDirectory();
  return directory !== undefined && existsSync(join(directory, ADDON));
}

/**
 * TensorFlow's own kernels: on CUDA where there is a card, else on all CPU cores. The device and TF32 are settled when
 * the library is loaded, once in a process.
 *
 * @throws InputError where the native part is missing or cannot be loaded, or a card was asked for and is not used
 */
export async function load({ device, tf32 = false }: BackendOptions): Promise<Backend> {
  if (!isInstalled()) {
    throw new InputError(
      `backend tensorflow is not installed: the native part of ${PACKAGE} is missing; ` +
        "`npm run setup:tensorflow` gets it (see the README), and --backend wasm needs nothing more",
    );
  }
  if (settled !== undefined && settled.tf32 !== tf32) {
    throw new InputError(
      `TF32 is ${settled.tf32 ? "on" : "off"} in this process already, and settled once in each`,
    );
  }
  const first = settled === undefined;
  settled = { tf32 };
  const environment = process.env; // read by the libraries as they are loaded
  environment["TF_FORCE_GPU_ALLOW_GROWTH"] ??= "true"; // memory as it is needed, instead of the whole card
  environment["TF_CPP_MIN_LOG_LEVEL"] ??= "2"; // errors only
  environment["NVIDIA_TF32_OVERRIDE"] = tf32 ? "1" : "0";
  if (first) environment["XLA_FLAGS"] = [XLA_FLAGS, environment["XLA_FLAGS"]].filter(Boolean).join(" "); // what comes last counts
  const compiled = cacheDirectory(environment, "compiled");
  if (!/\s/.test(compiled)) {
    environment["TF_XLA_FLAGS"] ??= `--tf_xla_persistent_cache_directory=${compiled} --tf_xla_persistent_cache_device_types=XLA_GPU_JIT`; // prettier-ignore
  }
  if (device === "cpu") environment["CUDA_VISIBLE_DEVICES"] = "-1";
  restoreNodeUtilities();
  try {
    require(PACKAGE);
  } catch (error) {
    const { message } = error as Error;
    throw new InputError(
      `backend tensorflow is installed but cannot be loaded (${message}); \`npm run setup:tensorflow\` repairs it`,
    );
  }
  registerKVCacheWrite("tensorflow", writeInPlace);
  replaceKernel(tf.BatchMatMul, "tensorflow", matMul);
  replaceKernel(tf.Mean, "tensorflow", mean);
  for (const operation of shared ? [] : [tf.Add, tf.Multiply]) {
    replaceKernel(
      operation,
      "tensorflow",
      withSharedNumbers(tf.getKernel(operation, "tensorflow").kernelFunc),
    );
  }
  shared = true;
  const backend = tf.findBackend("tensorflow") as NodeJSKernelBackend;
  const used = backend.isUsingGpuDevice ? "cuda" : "cpu";
  if (device === "cuda" && used === "cpu") throw await noCard();
  const precision = used === "cuda" ? `, TF32 ${tf32 ? "on" : "off"}` : "";
  const description = `tensorflow (TensorFlow ${libraryVersion()} on ${used}${precision})`;
  return { name: "tensorflow", device: used, description };
}

/** The version of the TensorFlow library that is loaded; undefined before `load`. */
export function libraryVersion(): string | undefined {
  const backend = tf.findBackend("tensorflow") as NodeJSKernelBackend | null;
  return (backend?.binding as unknown as { TF_Version: string } | undefined)?.TF_Version; // its types leave it out
}

/** TensorFlow falls back to the CPU in silence; the machine, and what it logs in another process, say why. */
async function noCard(): Promise<InputError> {
  const { machineFacts } = await import("../../scripts/machine.js");
  const { whyNotCuda } = await import("../../scripts/setup-tensorflow/self-test.js");
  const { tryBackend } = await import("../../scripts/setup-tensorflow/try-backend.js");
  const { nvidia: driver, tensorflow } = await machineFacts();
  const attempt = await tryBackend("tensorflow");
  const facts = {
    driver,
    device: tensorflow?.device ?? null,
    missingLibraries: tensorflow?.missingCudaLibraries ?? [],
  };
  const why = whyNotCuda(facts, attempt.usable ? attempt.said : undefined);
  return new InputError(`--device cuda was asked for, but TensorFlow computes on the CPU: ${why}`);
}

// tfjs-node 4.22 calls two functions that Node 22 deprecates, with warnings amid the text, and Node 23 removed.
function restoreNodeUtilities(): void {
  const util = require("node:util") as Record<string, unknown>;
  util["isNullOrUndefined"] = (value: unknown) => value === null || value === undefined;
  util["isArray"] = Array.isArray;
}
