import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../util/errors.js";
import { KERNELS } from "./kernels.js";
import type { Tracer } from "./tracer.js";

const TRACER = "tracer";

/**
 * Runs code on a tracer, which adds its operations to the tracer's graph. The tracer replaces the backend meanwhile.
 *
 * `setBackend` returns a promise, but is done at once for backends that are initialised synchronously, as both are; so
 * the code must be synchronous, too.
 *
 * @throws InputError naming an operation that has no kernel here
 */
export function trace<Result>(tracer: Tracer, run: () => Result): Result {
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    const kernelFunc: tf.KernelFunc = ({ backend, ...call }) => kernel({ ...call, tracer: backend } as never);
    if (!tf.getKernel(kernelName, TRACER)) tf.registerKernel({ kernelName, backendName: TRACER, kernelFunc });
  }
  const backend = tf.getBackend();
  tf.registerBackend(TRACER, () => tracer);
  void tf.setBackend(TRACER);
  try {
    return tf.tidy(run as () => tf.TensorContainer) as Result;
  } catch (error) {
    const missing = /Kernel '(\w+)' not registered/.exec((error as Error).message)?.[1];
    if (!missing) throw error;
    throw new InputError(
      `operation ${missing} is not supported in graph mode: use eager execution, or add it to src/graph/kernels.ts`,
    );
  } finally {
    void tf.setBackend(backend);
    tf.removeBackend(TRACER);
  }
}
