import * as tf from "@tensorflow/tfjs-core";
import type { DataId, KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { Call, MatMulAttributes } from "./replace-kernel.js";
import { ensureCapacity, heapOf } from "./wasm-heap.js";
import { WASM_MATMUL } from "./wasm-matmul-code.js";

type Addresses = [a: number, b: number, out: number];
type Sizes = [M: number, N: number, K: number];

/** The functions of wasm-matmul.wat; steps are in bytes. */
interface Functions {
  rowsByRows(...args: [...Addresses, ...Sizes, mStep: number, nStep: number]): void;
  rowsByColumns(...args: [...Addresses, ...Sizes]): void;
}

/** Up to this number of columns, XNNPACK takes longer than our `rowsByRows`: it always computes at least eight. */
const FEW_COLUMNS = 4;

/** The columns that `rowsByColumns` computes at once, and the fewest that it can. */
const TILE = 16;

/**
 * `BatchMatMul` for WebAssembly. TensorFlow.js 4.22 passes two matrices to XNNPACK, which packs the second and keeps the
 * packed copy: right for weights. Everything else runs in a plain loop, which includes all of attention: batches with
 * one matrix per head, one of them transposed, none used twice.
 *
 * Here a batch, even of one matrix, never goes to XNNPACK (so it cannot use an outdated packed copy of a KV cache, which
 * changes in place) but to functions of our own, 7 to 15 times as fast as that loop (3 heads, 1 to 256 positions after
 * 256). They also multiply a large matrix by few columns, as the LM head does, at the speed of memory.
 *
 * @param original TensorFlow.js's kernel, for two matrices, and for a transposed `a`, which no model here needs
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
    const { rowsByRows, rowsByColumns } = functionsOf(wasm);
    if (transposeB) {
      return forEachMatrix(wasm, a, b, [M, N], (...at) => rowsByRows(...at, M, N, K, 4 * N, 4));
    }
    const single = a.shape.length === 2 && b.shape.length === 2;
    if (single && N > FEW_COLUMNS) {
      ensureCapacityForPacking(wasm, b);
      return original(call);
    }
    if (N >= TILE) {
      return forEachMatrix(wasm, a, b, [M, N], (...at) => rowsByColumns(...at, M, N, K));
    }
    // `b` has few columns: transposed, it is the smaller matrix, and each row of `a` is read once.
    const bT = transpose(wasm, b);
    try {
      return forEachMatrix(wasm, a, bT, [M, N], (aAt, bAt, out) =>
        rowsByRows(bAt, aAt, out, N, M, K, 4, 4 * N),
      );
    } finally {
      wasm.disposeData(bT.dataId);
    }
  };

/** Matrices that XNNPACK keeps a packed copy of. */
const packed = new WeakSet<DataId>();

/** Bytes that XNNPACK allocates with a packed matrix: alignment, and its description of the matmul. */
const PACKING_OVERHEAD = 4096;

/**
 * Checks that XNNPACK can pack a matrix at its first use. If it cannot, it returns uninitialized memory and no error.
 *
 * @throws InputError if the heap is full
 */
function ensureCapacityForPacking(wasm: BackendWasm, { dataId, shape: [K, N] }: TensorInfo): void {
  if (packed.has(dataId)) return;
  const [rows, columns] = [K! + 4, TILE * Math.ceil(N! / TILE)]; // rounded up as XNNPACK does, with a bias
  ensureCapacity(wasm, 4 * rows * columns + PACKING_OVERHEAD);
  packed.add(dataId);
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
  const out = wasm.makeOutput([...shape, M, N], "float32");
  const matrices = tf.util.sizeFromShape(shape);
  const step = (tensor: TensorInfo, batch: number[]): number => {
    const count = tf.util.sizeFromShape(batch);
    if (count !== 1 && count !== matrices) {
      throw new Error(`batch shapes must be equal, or one a single matrix, got [${batches.join("] and [")}]`);
    }
    return count === 1 ? 0 : (4 * tf.util.sizeFromShape(tensor.shape)) / count;
  };
  const [aStep, bStep] = [step(a, batches[0]), step(b, batches[1])];
  const [aAt, bAt, outAt] = [a, b, out].map((tensor) => addressOf(wasm, tensor)) as Addresses;
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

const addressOf = (wasm: BackendWasm, tensor: TensorInfo): number =>
  wasm.typedArrayFromHeap(tensor).byteOffset;

let functions: Functions | undefined;

/** Our functions, instantiated on the backend's own heap. */
function functionsOf(backend: BackendWasm): Functions {
  if (functions) return functions;
  const code = Uint8Array.from(atob(WASM_MATMUL), (character) => character.charCodeAt(0));
  const imports = { backend: { memory: heapOf(backend).asm.memory } };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), imports);
  functions = exports as unknown as Functions;
  return functions;
}
