import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { load } from "../../src/backend/wasm.js";

/**
 * Loads the wasm backend in a browser: src/backend/wasm.ts with a binary that is already in memory.
 *
 * @param binary tfjs-backend-wasm-simd.wasm
 * @returns      the backend's description
 */
export async function loadBackend(binary: Uint8Array): Promise<string> {
  tf.enableProdMode();
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // threads need HTTP headers that a file on disk does not have
  const url = URL.createObjectURL(new Blob([binary as BlobPart], { type: "application/wasm" }));
  const builds = ["", "-simd", "-threaded-simd"].map((build) => [`tfjs-backend-wasm${build}.wasm`, url]);
  setWasmPaths(Object.fromEntries(builds)); // TensorFlow.js wants all three; it loads the one with SIMD
  const { description } = await load();
  if (!(await tf.setBackend("wasm"))) throw new Error("this browser could not start WebAssembly with SIMD");
  await tf.ready();
  return description;
}
