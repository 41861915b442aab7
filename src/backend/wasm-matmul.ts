import * as tf from "@tensorflow/tfjs-core";
import type { KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { Call, MatMulAttributes } from "./replace-kernel.js";
import { addressesOf, instantiate, withMemory } from "./wasm-heap.js";
import { WASM_MATMUL } from "./wasm-matmul-code.js";

type Addresses = [a: number, b: number, out: number];
type Sizes = [M: number, N: number, K: number];
type RowsByRows = [...Addresses, ...Sizes, mStep: number, nStep: number];

/** The functions of wasm-matmul.wat; steps are in bytes. */
interface Functions {
  rowsByRows(...args: RowsByRows): void;
  rowByRow(...args: RowsByRows): void;
  sumsOfRows(...args: [...Addresses, ...Sizes]): void;
  copyToPanel(b: number, panel: number, K: number, kStep: number, nStep: number): void;
  panelMatMul(a: number, panel: number, out: number, M: number, K: number, row: number): void;
}

/** The columns of a panel, and the fewest that `panelMatMul` can compute. */
const PANEL = 8;

/** From this number of rows of `a` on, copying `b` to panels takes less time than it saves. */
const MANY_ROWS = { b: 8, bTransposed: 16 };

/**
 * `BatchMatMul` for WebAssembly. TensorFlow.js 4.22 passes two matrices to XNNPACK, which packs the second and keeps the
 * packed copy: all weights are in memory twice. Everything else runs in a plain loop, which includes all of attention:
 * batches with one matrix per head, one of them transposed, none used twice.
 *
 * Here all of them go to functions of our own, which read a weight where it is. Few rows of `a`, as in a decode step, read
 * it at the speed of memory; many rows, as in prefill, copy eight columns at a time to a panel that stays in the CPU's
 * caches.
 *
 * @param original TensorFlow.js's kernel, for a transposed `a` and for integers, which no model here needs
 */
export const matMul =
  (original: KernelFunc) =>
  (call: Call<"a" | "b", MatMulAttributes, BackendWasm>): TensorInfo | TensorInfo[] => {
    const { a, b } = call.inputs;
    const { transposeA, transposeB } = call.attrs;
    const [M, K] = a.shape.slice(-2) as [number, number];
    const N = b.shape.at(transposeB ? -2 : -1)!;
    const fits = !transposeA && K === b.shape.at(transposeB ? -1 : -2) && a.dtype === b.dtype;
    if (!fits || a.dtype !== "float32" || M * N * K === 0) return original(call);

    const wasm = call.backend;
    const { sumsOfRows } = functionsOf(wasm);
    if (N >= PANEL && M >= (transposeB ? MANY_ROWS.bTransposed : MANY_ROWS.b)) {
      const steps = transposeB ? ([4, 4 * K] as const) : ([4 * N, 4] as const);
      return withMemory(wasm, 4 * PANEL * K, (panel) =>
        forEachMatrix(wasm, a, b, [M, N], (...at) => byPanels(wasm, at, [M, N, K], steps, panel)),
      );
    }
    if (transposeB) {
      return forEachMatrix(wasm, a, b, [M, N], (...at) => rowsByRows(wasm, ...at, M, N, K, 4 * N, 4));
    }
    if (M < MANY_ROWS.b && N % 4 === 0) {
      return forEachMatrix(wasm, a, b, [M, N], (...at) => sumsOfRows(...at, M, N, K));
    }
    // Few columns, as those of the LM head's matmul: transposed, `b` is the smaller matrix, and `a` is read once.
    const bT = transpose(wasm, b);
    try {
      return forEachMatrix(wasm, a, bT, [M, N], (aAt, bAt, out) =>
        rowsByRows(wasm, bAt, aAt, out, N, M, K, 4, 4 * N),
      );
    } finally {
      wasm.disposeData(bT.dataId);
    }
  };

/** The dot products of the rows of two matrices: four rows of `b` at a time where the sizes allow it. */
function rowsByRows(wasm: BackendWasm, ...[a, b, out, M, N, K, mStep, nStep]: RowsByRows): void {
  const functions = functionsOf(wasm);
  const left = K % 4 === 0 ? N % 4 : N;
  const most = N - left;
  if (most > 0) functions.rowsByRows(a, b, out, M, most, K, mStep, nStep);
  if (left > 0) functions.rowByRow(a, b + 4 * most * K, out + most * nStep, M, left, K, mStep, nStep);
}

/** Multiplies two matrices, panel by panel. Where N is no multiple, the last panel overlaps the one before. */
function byPanels(
  wasm: BackendWasm,
  [a, b, out]: Addresses,
  [M, N, K]: Sizes,
  [kStep, nStep]: readonly [number, number],
  panel: number,
): void {
  const { copyToPanel, panelMatMul } = functionsOf(wasm);
  for (let start = 0; start < N; start += PANEL) {
    const n = Math.min(start, N - PANEL);
    copyToPanel(b + n * nStep, panel, K, kStep, nStep);
    panelMatMul(a, panel, out + 4 * n, M, K, 4 * N);
  }
}

/** Multiplies batches of matrices, one by one. If one side is a single matrix, it is used for all of the other's. */
function forEachMatrix(
  wasm: BackendWasm,
  a: TensorInfo,
  b: TensorInfo,
  [M, N]: readonly [number, number],
  multiply: (...addresses: Addresses) => void,
): TensorInfo {
  const batches = [a, b].map(({ shape }) => shape.slice(0, -2)) as [number[], number[]];
  const shape = tf.broadcast_util.assertAndGetBroadcastShape(...batches);
  const matrices = tf.util.sizeFromShape(shape);
  const step = (tensor: TensorInfo, batch: number[]): number => {
    const count = tf.util.sizeFromShape(batch);
    if (count !== 1 && count !== matrices) {
      throw new Error(`batch shapes must be equal, or one a single matrix, got [${batches.join("] and [")}]`);
    }
    return count === 1 ? 0 : (4 * tf.util.sizeFromShape(tensor.shape)) / count;
  };
  const [aStep, bStep] = [step(a, batches[0]), step(b, batches[1])];
  const out = wasm.makeOutput([...shape, M, N], "float32");
  const [aAt, bAt, outAt] = addressesOf(wasm, a, b, out);
  for (let i = 0; i < matrices; i++) multiply(aAt + i * aStep, bAt + i * bStep, outAt + 4 * i * M * N);
  return out;
}

/** A copy of matrices [..., K, N] as [..., N, K]; the caller disposes it. */
function transpose(backend: BackendWasm, x: TensorInfo): TensorInfo {
  const axes = x.shape.map((_, axis) => axis);
  const perm = [...axes.slice(0, -2), axes.at(-1), axes.at(-2)] as number[];
  return tf
    .getKernel(tf.Transpose, "wasm")
    .kernelFunc({ inputs: { x }, attrs: { perm }, backend }) as TensorInfo;
}

let functions: Functions | undefined;

const functionsOf = (backend: BackendWasm): Functions =>
  (functions ??= instantiate<Functions>(backend, WASM_MATMUL));
