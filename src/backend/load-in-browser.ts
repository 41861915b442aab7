import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../util/errors.js";
import type { Backend, BackendOptions } from "./backend.js";
import { load as loadCpu } from "./cpu.js";
import { startBackend } from "./start-backend.js";
import { load as loadWasm } from "./wasm.js";

/**
 * `loadBackend` for browsers: loads a backend and makes it the one that runs every tensor operation from now on.
 *
 * @param name "wasm", or "auto" for the same; or "cpu"
 * @throws InputError for another name, a missing `wasmBinary`, or a backend that does not start
 */
export async function loadBackend(name: string, options: BackendOptions = {}): Promise<Backend> {
  const backend = await load(name, options);
  await startBackend(backend, options);
  return backend;
}

async function load(name: string, { wasmBinary }: BackendOptions): Promise<Backend> {
  if (name === "cpu") return loadCpu();
  if (name !== "wasm" && name !== "auto") {
    throw new InputError(`backend must be one of auto, wasm, cpu in a browser, got "${name}"`);
  }
  if (wasmBinary === undefined) {
    throw new InputError(
      "wasmBinary must be the bytes or the URL of tfjs-backend-wasm-simd.wasm, " +
        "which is in the folder dist of @tensorflow/tfjs-backend-wasm, but it is missing",
    );
  }
  const url =
    typeof wasmBinary === "string"
      ? wasmBinary
      : URL.createObjectURL(new Blob([wasmBinary as BlobPart], { type: "application/wasm" }));
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // threads need HTTP headers that a file on disk does not have
  const builds = ["", "-simd", "-threaded-simd"].map((build) => [`tfjs-backend-wasm${build}.wasm`, url]);
  setWasmPaths(Object.fromEntries(builds)); // TensorFlow.js wants all three; it loads the one with SIMD
  return loadWasm();
}
