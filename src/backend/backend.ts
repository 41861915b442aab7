import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../util/errors.js";
import { setMemoryLimit } from "./memory-limit.js";

/** The backends, by their TensorFlow.js backend names, best first. */
export const BACKENDS = ["tensorflow", "wasm", "cpu"] as const;

/** One of `BACKENDS`. */
export type BackendName = (typeof BACKENDS)[number];

/** Where tensors can be, and products computed. */
export const DEVICES = ["cpu", "cuda"] as const;

/** One of `DEVICES`. */
export type Device = (typeof DEVICES)[number];

/** What can be asked of an backend. */
export interface BackendOptions {
  /** Fails where the backend would compute on another device. Without it, TensorFlow takes a card if it finds one. */
  readonly device?: Device | undefined;
  /**
   * Whether products of float32 matrices may round their inputs to TensorFloat-32 (10 bits of fraction instead of 23)
   * on NVIDIA cards that have it: several times faster, and a thousand times the rounding error. Off by default.
   */
  readonly tf32?: boolean | undefined;
}

/** What computes, once it is loaded. */
export interface Backend {
  readonly name: BackendName;
  readonly device: Device;
  /** One line for people, e.g. "wasm (WebAssembly SIMD, one thread)". */
  readonly description: string;
}

/**
 * Loads an backend and makes it the one that every tensor operation uses from now on.
 *
 * @param name "auto" takes TensorFlow where its native part is installed, else WebAssembly
 * @throws InputError for an unknown name, or an backend that is not installed or does not start; another backend is
 *         never taken in its place
 */
export async function loadBackend(name: string, options: BackendOptions = {}): Promise<Backend> {
  const backend = await start(name, options);
  if (options.device && options.device !== backend.device) {
    throw new InputError(`backend ${backend.name} computes on ${backend.device}, expected ${options.device}`);
  }
  if (options.tf32 && backend.device !== "cuda") {
    throw new InputError(
      `TF32 was asked for, but backend ${backend.name} computes on ${backend.device}; it is for CUDA`,
    );
  }
  tf.enableProdMode(); // silences the hints that TensorFlow.js prints; it computes the same
  if (!(await tf.setBackend(backend.name))) {
    throw new InputError(`backend ${backend.name} could not be started: TensorFlow.js refused its backend`);
  }
  await tf.ready();
  if (backend.name !== "wasm") {
    // WebAssembly's limit is known, and below any machine's memory.
    const { findMemoryLimit } = await import("./free-memory.js");
    setMemoryLimit(backend.name, await findMemoryLimit(backend));
  }
  return backend;
}

// Imported one by one, on demand: loading TensorFlow takes half a second and 400 MB.
async function start(name: string, options: BackendOptions): Promise<Backend> {
  switch (name) {
    case "auto":
      return start((await import("./tensorflow.js")).isInstalled() ? "tensorflow" : "wasm", options);
    case "tensorflow":
      return (await import("./tensorflow.js")).load(options);
    case "wasm":
      return (await import("./wasm.js")).load();
    case "cpu":
      return (await import("./cpu.js")).load();
    default:
      throw new InputError(`unknown backend "${name}", expected auto, ${BACKENDS.join(", ")}`);
  }
}
