import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { TensorInfo } from "@tensorflow/tfjs-core";
import { util } from "@tensorflow/tfjs-core";
import type { Call } from "./replace-kernel.js";
import { WASM_ELEMENTWISE } from "./wasm-elementwise-code.js";
import { addressesOf, instantiate } from "./wasm-heap.js";

/** The functions of wasm-elementwise.wat; `end` is the address after the output, sizes are in bytes. */
interface Functions {
  combine(
    multiply: boolean,
    repeat: boolean,
    ...rest: [x: number, y: number, out: number, end: number, inner: number]
  ): void;
  rmsNorm(...args: [x: number, weight: number, out: number, end: number, row: number, eps: number]): void;
  rotate(
    ...args: [x: number, cos: number, sin: number, out: number, end: number, half: number, table: number]
  ): void;
}

let functions: Functions | undefined;

/** The functions of wasm-elementwise.wat on the backend's heap. */
export const functionsOf = (backend: BackendWasm): Functions =>
  (functions ??= instantiate<Functions>(backend, WASM_ELEMENTWISE));

/**
 * `RMSNorm` for WebAssembly: its definition in src/model/rms-norm.ts is six calls, of 2 to 6 µs each in a decode step.
 *
 * @throws RangeError if the weight is not one factor per channel
 */
export function rmsNorm({
  inputs: { x, weight },
  attrs: { eps },
  backend,
}: Call<"x" | "weight", { readonly eps: number }, BackendWasm>): TensorInfo {
  const C = x.shape.at(-1)!;
  if (`${weight.shape}` !== `${C}`) {
    throw new RangeError(
      `the weight must be [${C}], one factor per channel of [${x.shape}], got [${weight.shape}]`,
    );
  }
  const out = backend.makeOutput(x.shape, "float32");
  const [from, factors, to] = addressesOf(backend, x, weight, out);
  functionsOf(backend).rmsNorm(from, factors, to, to + bytesOf(x), 4 * C, eps);
  return out;
}

/**
 * `Rotate` for WebAssembly: its definition in src/model/rotary-embedding.ts is six calls.
 *
 * @throws RangeError if the tables do not have a row for each of the T positions, or one row for all
 */
export function rotate({
  inputs: { x, cos, sin },
  backend,
}: Call<"x" | "cos" | "sin", object, BackendWasm>): TensorInfo {
  const [heads, T, D] = x.shape as [number, number, number];
  const [rows, width] = cos.shape.slice(-2) as [number, number];
  const sequences = cos.shape.length === 4 ? cos.shape[0]! : 1; // each has tables of its own
  if (
    `${sin.shape}` !== `${cos.shape}` ||
    width !== D ||
    (rows !== T && rows !== 1) ||
    heads % sequences > 0
  ) {
    throw new RangeError(
      `cos and sin must be [${T}, ${D}] or [1, ${D}] for [${x.shape}], got [${cos.shape}] and [${sin.shape}]`,
    );
  }
  const out = backend.makeOutput(x.shape, "float32");
  const [from, cosAt, sinAt, to] = addressesOf(backend, x, cos, sin, out);
  const [bytes, table] = [bytesOf(x) / sequences, 4 * rows * D];
  for (let i = 0; i < sequences; i++) {
    const [at, end] = [to + i * bytes, to + (i + 1) * bytes];
    functionsOf(backend).rotate(
      from + i * bytes,
      cosAt + i * table,
      sinAt + i * table,
      at,
      end,
      2 * D,
      table,
    );
  }
  return out;
}

const bytesOf = ({ shape }: TensorInfo): number => 4 * util.sizeFromShape(shape);
