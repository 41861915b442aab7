import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { load } from "../../src/backend/wasm.js";

/**
 * The wasm backend in a browser: src/backend/wasm.ts, with the binary given and not fetched.
 *
 * @param binary tfjs-backend-wasm-simd.wasm
 */
export async function loadBackend(binary: Uint8Array): Promise<string> {
  tf.enableProdMode();
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // threads need headers that a file on disk has not
  const url = URL.createObjectURL(new Blob([binary as BlobPart], { type: "application/wasm" }));
  const builds = ["", "-simd", "-threaded-simd"].map((build) => [`tfjs-backend-wasm${build}.wasm`, url]);
  setWasmPaths(Object.fromEntries(builds)); // all three must be named; the one with SIMD is taken
  const { description } = await load();
  if (!(await tf.setBackend("wasm"))) throw new Error("this browser could not start WebAssembly with SIMD");
  await tf.ready();
  return description;
}
