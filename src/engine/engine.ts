import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.js";

/** The engines, by their TensorFlow.js backend names, best first. */
export const ENGINES = ["tensorflow", "wasm", "cpu"] as const;

/** One of `ENGINES`. */
export type EngineName = (typeof ENGINES)[number];

/** What computes, once it is loaded. */
export interface Engine {
  readonly name: EngineName;
  /** Where the tensors are. */
  readonly device: "cpu" | "cuda";
  /** One line for people, e.g. "wasm (WebAssembly SIMD, one thread)". */
  readonly description: string;
}

/**
 * Loads an engine and makes it the one that every tensor operation uses from now on.
 *
 * @param name "auto" takes TensorFlow where its native part is installed, else WebAssembly
 * @throws InputError for an unknown name, or an engine that is not installed or does not start; another engine is
 *         never taken in its place
 */
export async function loadEngine(name: string): Promise<Engine> {
  const engine = await start(name);
  tf.enableProdMode(); // silences the hints that TensorFlow.js prints; it computes the same
  if (!(await tf.setBackend(engine.name))) {
    throw new InputError(`engine ${engine.name} could not be started: TensorFlow.js refused its backend`);
  }
  await tf.ready();
  return engine;
}

// Imported one by one, on demand: loading TensorFlow takes half a second and 400 MB.
async function start(name: string): Promise<Engine> {
  switch (name) {
    case "auto":
      return start((await import("./tensorflow.js")).isInstalled() ? "tensorflow" : "wasm");
    case "tensorflow":
      return (await import("./tensorflow.js")).load();
    case "wasm":
      return (await import("./wasm.js")).load();
    case "cpu":
      return (await import("./cpu.js")).load();
    default:
      throw new InputError(`unknown engine "${name}", expected auto, ${ENGINES.join(", ")}`);
  }
}
