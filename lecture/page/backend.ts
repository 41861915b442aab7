import * as browser from "../../src/backend/load-in-browser.js";

/**
 * Loads the wasm backend.
 *
 * @param binary tfjs-backend-wasm-simd.wasm
 * @returns      the backend's description
 */
export async function loadBackend(binary: Uint8Array): Promise<string> {
  checkWebAssembly();
  return (await browser.loadBackend("wasm", { wasmBinary: binary })).description;
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
