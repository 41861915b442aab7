import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.js";
import { setRoom } from "./memory.js";

/** The engines, by their TensorFlow.js backend names, best first. */
export const ENGINES = ["tensorflow", "wasm", "cpu"] as const;

/** One of `ENGINES`. */
export type EngineName = (typeof ENGINES)[number];

/** Where tensors can be, and products computed. */
export const DEVICES = ["cpu", "cuda"] as const;

/** One of `DEVICES`. */
export type Device = (typeof DEVICES)[number];

/** What can be asked of an engine. */
export interface EngineOptions {
  /** Fails where the engine would compute on another device. Without it, TensorFlow takes a card if it finds one. */
  readonly device?: Device | undefined;
  /**
   * Whether products of float32 matrices may round their inputs to TensorFloat-32 (10 bits of fraction instead of 23)
   * on NVIDIA cards that have it: several times faster, and a thousand times the rounding error. Off by default.
   */
  readonly tf32?: boolean | undefined;
}

/** What computes, once it is loaded. */
export interface Engine {
  readonly name: EngineName;
  readonly device: Device;
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
export async function loadEngine(name: string, options: EngineOptions = {}): Promise<Engine> {
  const engine = await start(name, options);
  if (options.device && options.device !== engine.device) {
    throw new InputError(`engine ${engine.name} computes on ${engine.device}, expected ${options.device}`);
  }
  if (options.tf32 && engine.device !== "cuda") {
    throw new InputError(
      `TF32 was asked for, but engine ${engine.name} computes on ${engine.device}; it is for CUDA`,
    );
  }
  tf.enableProdMode(); // silences the hints that TensorFlow.js prints; it computes the same
  if (!(await tf.setBackend(engine.name))) {
    throw new InputError(`engine ${engine.name} could not be started: TensorFlow.js refused its backend`);
  }
  await tf.ready();
  // WebAssembly's own limit is less than any machine's memory, and known.
  if (engine.name !== "wasm")
    setRoom(engine.name, await (await import("./free-memory.js")).freeMemory(engine));
  return engine;
}

// Imported one by one, on demand: loading TensorFlow takes half a second and 400 MB.
async function start(name: string, options: EngineOptions): Promise<Engine> {
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
      throw new InputError(`unknown engine "${name}", expected auto, ${ENGINES.join(", ")}`);
  }
}
