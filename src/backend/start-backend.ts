import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../util/errors.js";
import { type Backend, type BackendOptions, DeviceError } from "./backend.js";

/**
 * Makes a loaded backend the one that runs every tensor operation from now on.
 *
 * @throws DeviceError where the backend does not run on the required device; InputError where it does not start, or for
 *         TF32 on a CPU
 */
export async function startBackend(backend: Backend, { device, tf32 }: BackendOptions): Promise<void> {
  if (device && device !== backend.device) throw new DeviceError(backend, device);
  if (tf32 && backend.device !== "cuda") {
    throw new InputError(
      `TF32 must be used on device cuda, got ${backend.device} on backend ${backend.name}`,
    );
  }
  tf.enableProdMode(); // disables the hints that TensorFlow.js prints
  if (!(await tf.setBackend(backend.name))) {
    throw new InputError(`backend ${backend.name} cannot be started by TensorFlow.js: try another`);
  }
  await tf.ready();
}
