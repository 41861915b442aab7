import { InputError } from "../util/errors.js";

/** The backends, by their names in TensorFlow.js, fastest first. */
export const BACKENDS = ["tensorflow", "wasm", "cpu"] as const;

/** One of `BACKENDS`. */
export type BackendName = (typeof BACKENDS)[number];

/** The devices that hold tensors and compute: the CPU, or an NVIDIA GPU through CUDA. */
export const DEVICES = ["cpu", "cuda"] as const;

/** One of `DEVICES`. */
export type Device = (typeof DEVICES)[number];

/** Options for `loadBackend`. */
export interface BackendOptions {
  /** The required device. Without it, TensorFlow uses a GPU if it finds one. */
  readonly device?: Device | undefined;
  /**
   * Lets float32 matmuls round their inputs to TensorFloat-32 (10 bits of fraction instead of 23) on NVIDIA GPUs that
   * support it: several times faster, with a thousand times the rounding error. Off by default.
   */
  readonly tf32?: boolean | undefined;
  /**
   * For browsers: the bytes or the URL of `dist/tfjs-backend-wasm-simd.wasm` in @tensorflow/tfjs-backend-wasm. Node finds
   * the file itself.
   */
  readonly wasmBinary?: Uint8Array | string | undefined;
}

/** A backend that has been loaded. */
export interface Backend {
  readonly name: BackendName;
  readonly device: Device;
  /** One line for users, e.g. "wasm (WebAssembly with SIMD, one thread)". */
  readonly description: string;
}

/** TensorFlow's native part is missing, or it is installed but cannot be loaded. */
export class NativePartError extends InputError {
  override readonly name = "NativePartError";

  constructor(
    problem: string,
    readonly installed: boolean,
  ) {
    super(`backend tensorflow must have a native part that can be loaded, but ${problem}`);
  }
}

/** The backend runs on another device than the required one. */
export class DeviceError extends InputError {
  override readonly name = "DeviceError";

  constructor(
    readonly backend: Backend,
    readonly required: Device,
  ) {
    super(`device must be ${backend.device} on backend ${backend.name}, got ${required}`);
  }
}
