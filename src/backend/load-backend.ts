import { InputError } from "../util/errors.js";
import { type Backend, type BackendOptions, BACKENDS } from "./backend.js";
import { memoryLimits } from "./memory-limit.js";
import { startBackend } from "./start-backend.js";

/**
 * Loads a backend and makes it the one that runs every tensor operation from now on. There is no fallback: a backend
 * that cannot be loaded is an error.
 *
 * @param name "auto" selects TensorFlow where its native part is installed, else WebAssembly
 * @throws NativePartError where TensorFlow is not installed, or broken
 * @throws DeviceError where the backend does not run on the required device
 * @throws InputError for an unknown name, or a backend that does not start
 */
export async function loadBackend(name: string, options: BackendOptions = {}): Promise<Backend> {
  if (options.wasmBinary !== undefined) {
    throw new InputError("wasmBinary must be left out in Node, which finds the file itself");
  }
  const backend = await load(name, options);
  await startBackend(backend, options);
  if (backend.name !== "wasm") {
    // WebAssembly's limit is known, and below any machine's memory.
    const { findMemoryLimit } = await import("./free-memory.js");
    memoryLimits.set(backend.name, await findMemoryLimit(backend));
  }
  return backend;
}

// Imported one by one, on demand: loading TensorFlow takes half a second and 400 MB.
async function load(name: string, options: BackendOptions): Promise<Backend> {
  switch (name) {
    case "auto":
      return load((await import("./tensorflow.js")).isInstalled() ? "tensorflow" : "wasm", options);
    case "tensorflow":
      return (await import("./tensorflow.js")).load(options);
    case "wasm":
      return (await import("./wasm.js")).load();
    case "cpu":
      return (await import("./cpu.js")).load();
    default:
      throw new InputError(`backend must be one of auto, ${BACKENDS.join(", ")}, got "${name}"`);
  }
}
