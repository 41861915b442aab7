import type { Backend } from "./backend.js";
import type { MemoryLimit } from "./memory-limit.js";
import { findDriver } from "./nvidia.js";

/** The share of free memory that tensors may take; the rest is for JavaScript, the library and the system. */
const SHARE = 0.9;

/**
 * The memory limit of a backend that has just been loaded, from the GPU's free memory, or from the machine's within a
 * container's limit. Undefined where that is unknown.
 */
export async function findMemoryLimit(backend: Backend): Promise<MemoryLimit | undefined> {
  if (backend.device !== "cuda") return limitOf(process.availableMemory(), "machine");
  const visible = Number(process.env["CUDA_VISIBLE_DEVICES"]?.split(",")[0] ?? 0); // NaN for a GPU's UUID
  const gpu = (await findDriver(process.env))?.gpus[visible];
  // TensorFlow's kernels count elements in 32 bits: more fail with an error of CUDA's.
  return { ...limitOf(gpu?.freeMemoryBytes || Infinity, "GPU"), elements: 2 ** 31 - 1 };
}

const limitOf = (freeBytes: number, owner: string): MemoryLimit => ({
  bytes: SHARE * freeBytes,
  source: `(${SHARE * 100}% of the ${(freeBytes / 2 ** 30).toFixed(1)} GiB that the ${owner} has free)`,
});
