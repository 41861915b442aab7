import { InputError } from "../util/errors.js";

/**
 * What TensorFlow says where it has no memory left: "Invalid TF_Status: 8", which is its RESOURCE_EXHAUSTED, and "OOM when
 * allocating tensor with shape[8,1024,49152] and type float on /job:localhost/replica:0/task:0/device:GPU:0 by allocator
 * GPU_0_bfc", or, of a compiled step, "Out of memory while trying to allocate 123 bytes".
 */
const SAID = /TF_Status: 8\b|\bOOM when allocating\b|\bOut of memory while\b/;

/** The error for people, if this one says that TensorFlow has no memory left: nothing is wrong with the program then. */
export function outOfMemory(error: unknown): InputError | undefined {
  if (!(error instanceof Error) || !SAID.test(error.message)) return undefined;
  const [, shape, type] = /tensor with shape\[([\d,]*)\] and type (\w+)/.exec(error.message) ?? [];
  const [, bytes] = /trying to allocate (\d+) bytes/.exec(error.message) ?? [];
  const [, device] = /device:(\w+:\d+)/.exec(error.message) ?? [];
  const what =
    shape !== undefined ? ` for a tensor of shape [${shape}], ${type}` : bytes ? ` for ${bytes} bytes` : "";
  return new InputError(
    `TensorFlow has no memory left${what}${device ? ` on ${device}` : ""}; ` +
      "expected a smaller batch, shorter texts or a smaller model",
  );
}
