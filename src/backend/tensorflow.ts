import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import { InputError } from "../util/errors.js";
import { type Backend, type BackendOptions, NativePartError } from "./backend.js";
import { compileCache } from "./compile-cache.js";
import { registerKVCacheRows } from "./kv-cache-rows.js";
import { registerKVCacheWrite } from "./kv-cache-write.js";
import { replaceKernel } from "./replace-kernel.js";
import {
  gatherRows,
  matMul,
  mean,
  withUploadedScalars,
  writeInPlace,
  writeRowsInPlace,
} from "./tensorflow-kernels.js";

/** The npm package whose native part runs the operations. */
export const PACKAGE = "@tensorflow/tfjs-node-gpu";

/** The path of the native part within the package. */
export const ADDON = join("lib", "napi-v8", "tfjs_binding.node");

const require = createRequire(import.meta.url);

/** The directory of the package, which `npm ci` installs without the native part; undefined without the package. */
export function packageDirectory(): string | undefined {
  try {
    return dirname(require.resolve(`${PACKAGE}/package.json`));
  } catch {
    return undefined; // an optional peer dependency
  }
}

/** True if the package has its native part, which npm alone does not install. */
export const isInstalled = (directory = packageDirectory()): boolean =>
  directory !== undefined && existsSync(join(directory, ADDON));

/** Set once TensorFlow is loaded: it reads its settings once per process. */
let loaded: { readonly tf32: boolean } | undefined;

/**
 * Loads TensorFlow: on CUDA where it finds a GPU, else on all CPU cores. The first call in a process decides about the
 * device and TF32.
 *
 * @throws NativePartError if the native part is missing or cannot be loaded; InputError if TF32 differs from an earlier
 *         call's
 */
export async function load({ device, tf32 = false }: BackendOptions): Promise<Backend> {
  if (!isInstalled()) throw new NativePartError(`${PACKAGE} has none`, false);
  if (loaded && loaded.tf32 !== tf32) {
    const state = loaded.tf32 ? "enabled" : "disabled";
    throw new InputError(`TF32 is already ${state} and can only be set once per process`);
  }
  if (!loaded) {
    configure(process.env, { device, tf32 });
    // tfjs-node 4.22 calls two functions that Node 22 deprecates, with warnings on stderr, and Node 23 removed.
    const isNullOrUndefined = (value: unknown) => value === null || value === undefined;
    Object.assign(require("node:util"), { isNullOrUndefined, isArray: Array.isArray });
    try {
      require(PACKAGE);
    } catch (error) {
      throw new NativePartError((error as Error).message, true);
    }
    registerKVCacheWrite("tensorflow", writeInPlace);
    registerKVCacheRows("tensorflow", { write: writeRowsInPlace, read: gatherRows });
    replaceKernel(tf.BatchMatMul, "tensorflow", matMul);
    replaceKernel(tf.Mean, "tensorflow", mean);
    for (const operation of [tf.Add, tf.Multiply]) {
      const { kernelFunc } = tf.getKernel(operation, "tensorflow");
      replaceKernel(operation, "tensorflow", withUploadedScalars(kernelFunc));
    }
    loaded = { tf32 };
  }
  const { isUsingGpuDevice, binding } = tf.findBackend("tensorflow") as NodeJSKernelBackend;
  const { TF_Version: version } = binding as unknown as { TF_Version: string }; // missing in its types
  const used = isUsingGpuDevice ? "cuda" : "cpu";
  const precision = used === "cuda" ? `, TF32 ${tf32 ? "on" : "off"}` : "";
  const description = `tensorflow (TensorFlow ${version} on ${used}${precision})`;
  return { name: "tensorflow", device: used, description };
}

/**
 * XLA's flags for GPUs. Autotuning compares the matmuls of Triton and cuBLAS, and level 5 has it reject those whose results
 * differ from cuBLAS's; by default it only logs them, and with bfloat16 weights and batch 16 it had selected some that
 * returned NaN. No rewriting of a matmul with one row into a multiplication and a sum, which writes an intermediate matrix
 * of the size of the weights. No merging of matmuls that share an input, which copies their weights together in every
 * step: `JointMatrices` stores them so.
 */
const XLA_FLAGS = [
  "--xla_gpu_autotune_level=5",
  "--xla_disable_hlo_passes=dot-strength-reduction",
  "--xla_gpu_dot_merger_threshold_mb=0",
];

/**
 * Triton's matmuls round float32 inputs to TensorFloat-32 whatever NVIDIA_TF32_OVERRIDE says, which only NVIDIA's libraries
 * read, so they are used with TF32 only.
 */
const WITHOUT_TRITON = "--xla_gpu_enable_triton_gemm=false";

/**
 * The allocator of a GPU's memory, unless TF_GPU_ALLOCATOR names another: CUDA's own pool, which grows by what is needed.
 * TensorFlow's default doubles its pool, and takes up to twice as much.
 */
export const GPU_ALLOCATOR = "cuda_malloc_async";

/** Sets the environment variables that the libraries read as they are loaded. */
function configure(env: NodeJS.ProcessEnv, { device, tf32 }: BackendOptions): void {
  env["TF_FORCE_GPU_ALLOW_GROWTH"] ??= "true"; // allocate as needed, and not all of the GPU's memory at once
  env["TF_GPU_ALLOCATOR"] ??= GPU_ALLOCATOR;
  // Fatal errors only; all others are thrown. TensorFlow first reads a file of XLA's cache as text, and logs that it is none.
  env["TF_CPP_MIN_LOG_LEVEL"] ??= "3";
  // TensorFlow uses oneDNN's matmuls by default only on x86 processors with VNNI; they are faster on the others too.
  if (process.arch === "x64") env["TF_ENABLE_ONEDNN_OPTS"] ??= "1";
  env["NVIDIA_TF32_OVERRIDE"] = tf32 ? "1" : "0";
  const flagsOfXla = [...XLA_FLAGS, ...(tf32 ? [] : [WITHOUT_TRITON]), env["XLA_FLAGS"]];
  env["XLA_FLAGS"] = flagsOfXla.filter(Boolean).join(" "); // later flags override earlier ones
  const cache = compileCache(env, statSync(join(packageDirectory()!, ADDON)).mtimeMs);
  if (cache) {
    const flags = [`--tf_xla_persistent_cache_directory=${cache}`, env["TF_XLA_FLAGS"]];
    env["TF_XLA_FLAGS"] = flags.filter(Boolean).join(" ");
  }
  if (device === "cpu") env["CUDA_VISIBLE_DEVICES"] = "-1";
}
