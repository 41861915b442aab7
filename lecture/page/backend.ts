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
  checkWebAssembly();
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

/** The smallest WebAssembly module: its magic number and its version. */
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** @throws Error with a sentence for the reader if the browser, or the page's host, does not allow WebAssembly */
function checkWebAssembly(): void {
  if (typeof WebAssembly === "undefined") throw new Error("This browser must have WebAssembly, got none.");
  try {
    void new WebAssembly.Module(EMPTY_MODULE);
  } catch (error) {
    throw new Error(
      "The page’s Content-Security-Policy must allow WebAssembly, and does not: add 'wasm-unsafe-eval' to its " +
        "script-src, or open the file from disk.",
      { cause: error },
    );
  }
}
