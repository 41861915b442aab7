import { InputError } from "../util/errors.js";

/**
 * TensorFlow's errors when it runs out of memory: "Invalid TF_Status: 8", its RESOURCE_EXHAUSTED, with "OOM when
 * allocating tensor with shape[8,1024,49152] and type float on /job:localhost/replica:0/task:0/device:GPU:0 by
 * allocator GPU_0_bfc"; from an XLA-compiled step, "Out of memory while trying to allocate 123 bytes"; and from CUDA, when
 * tensors are too large for a kernel, "'cuLaunchKernel(…)' failed with '", which TensorFlow.js cuts there.
 */
const OUT_OF_MEMORY =
  /TF_Status: 8\b|\bOOM when allocating\b|\bOut of memory while\b|\bcuLaunchKernel\(|\bCUDA_ERROR_OUT_OF_MEMORY\b/;

/** Maps TensorFlow's out-of-memory error to one for users; undefined for every other error. */
export function outOfMemory(error: unknown): InputError | undefined {
  if (!(error instanceof Error) || !OUT_OF_MEMORY.test(error.message)) return undefined;
  const [, shape, type] = /tensor with shape\[([\d,]*)\] and type (\w+)/.exec(error.message) ?? [];
  const [, bytes] = /trying to allocate (\d+ bytes)/.exec(error.message) ?? [];
  const [, device] = /device:(\w+:\d+)/.exec(error.message) ?? [];
  const what = shape === undefined ? bytes : `a ${type} tensor of shape [${shape}]`;
  const problem = /\bcuLaunchKernel\(/.test(error.message)
    ? "the GPU could not run an operation, because its tensors are too large or the GPU's memory is full"
    : `TensorFlow ran out of memory${what ? ` allocating ${what}` : ""}${device ? ` on ${device}` : ""}`;
  return new InputError(`${problem}: use a smaller batch, shorter prompts or a smaller model`);
}

/** Lines that TensorFlow writes to stderr as it is loaded, before it has read TF_CPP_MIN_LOG_LEVEL. */
const STARTUP_LOG =
  /^(?:WARNING: All log messages before absl::|[IW]\d{4} .*(?:oneDNN custom operations|TF_FORCE_GPU_ALLOW_GROWTH)).*\n?/gm;

/** A process's stderr without the lines that TensorFlow always writes there. */
export const withoutStartupLog = (stderr: string): string => stderr.replaceAll(STARTUP_LOG, "");
