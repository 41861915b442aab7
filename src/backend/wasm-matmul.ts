import * as tf from "@tensorflow/tfjs-core";
import type { DataId, KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { ensureRoom, heapOf } from "./wasm-heap.js";
import { PRODUCTS } from "./wasm-matmul-code.js";

/** The functions of wasm-matmul.wat; addresses and steps are in bytes. */
interface Products {
  rowsByRows(
    a: number, b: number, out: number, M: number, N: number, K: number, mStep: number, nStep: number,
  ): void; // prettier-ignore
  rowsByColumns(a: number, b: number, out: number, M: number, N: number, K: number): void;
}

/** Up to so many columns, XNNPACK's product takes longer than our `rowsByRows`: it computes eight, whatever is asked. */
const FEW_COLUMNS = 4;

/** The columns that `rowsByColumns` computes at once, and so the fewest that it can. */
const TILE = 16;

/**
 * `BatchMatMul` for WebAssembly. TensorFlow.js 4.22 hands two matrices to XNNPACK, which packs the second and keeps
 * that for later: right for weights. Everything else goes through a plain loop, and that is all of attention: a product
 * of stacks, one matrix a head, of which one is transposed and none seen twice.
 *
 * Here a stack, be it of one matrix, never meets XNNPACK (so a KV cache, which changes in place, is never looked up as
 * it was) but is multiplied by functions of our own, 7 to 15 times as fast as that loop (3 heads, 1 to 256 positions
 * after 256). They also multiply a large matrix by few columns, as the output head does, at the speed of memory.
 *
 * @param original TensorFlow.js's own, for two matrices, and, its loop, for what no model here needs: `a` transposed
 */
export const matMul =
  (original: KernelFunc): KernelFunc =>
  (call) => {
    const { a, b } = call.inputs as { a: TensorInfo; b: TensorInfo };
    const { transposeA, transposeB } = call.attrs as { transposeA: boolean; transposeB: boolean };
    const [M, K] = a.shape.slice(-2) as [number, number];
    const N = b.shape.at(transposeB ? -2 : -1)!;
    const fits = !transposeA && K === b.shape.at(transposeB ? -1 : -2) && a.dtype === b.dtype;
    if (!fits || a.dtype !== "float32" || M * N * K === 0) return original(call);

    const wasm = call.backend as BackendWasm;
    const { rowsByRows, rowsByColumns } = productsOf(wasm);
    if (transposeB) {
      return eachOfStack(wasm, a, b, [M, N], (...at) => rowsByRows(...at, M, N, K, 4 * N, 4));
    }
    const flat = a.shape.length === 2 && b.shape.length === 2;
    if (flat && N > FEW_COLUMNS) {
      ensureRoomForPacking(wasm, b);
      return original(call);
    }
    if (N >= TILE) return eachOfStack(wasm, a, b, [M, N], (...at) => rowsByColumns(...at, M, N, K));

    // With its few columns turned to rows, `b` is the smaller matrix: each row of `a` is read once.
    const rows = turned(wasm, b);
    try {
      return eachOfStack(wasm, a, rows, [M, N], (aAt, rowsAt, out) =>
        rowsByRows(rowsAt, aAt, out, N, M, K, 4, 4 * N),
      );
    } finally {
      wasm.disposeData(rows.dataId);
    }
  };

/** Matrices that XNNPACK keeps a packed copy of. */
const packed = new WeakSet<DataId>();

/** Bytes for what goes with a packed matrix: its alignment, and XNNPACK's description of the product. */
const WITH_IT = 4096;

/**
 * Makes sure that XNNPACK can pack a matrix that it sees for the first time. Where it cannot, its product is whatever
 * was in memory, and no error.
 */
function ensureRoomForPacking(wasm: BackendWasm, { dataId, shape: [K, N] }: TensorInfo): void {
  if (packed.has(dataId)) return;
  const [rows, columns] = [K! + 4, TILE * Math.ceil(N! / TILE)]; // as it rounds them up, with a bias
  ensureRoom(wasm, 4 * rows * columns + WITH_IT);
  packed.add(dataId);
}

/** Multiplies matrix by matrix. Where one side is a single matrix, it is multiplied by each of the other's. */
function eachOfStack(
  wasm: BackendWasm,
  a: TensorInfo,
  b: TensorInfo,
  [M, N]: readonly [number, number],
  multiply: (a: number, b: number, out: number) => void,
): TensorInfo {
  const stacks = [a, b].map(({ shape }) => shape.slice(0, -2)) as [number[], number[]];
  const shape = tf.broadcast_util.assertAndGetBroadcastShape(...stacks);
  const out = wasm.makeOutput([...shape, M, N], "float32");
  const matrices = tf.util.sizeFromShape(shape);
  const step = ({ shape: whole }: TensorInfo, stack: number[]): number => {
    const count = tf.util.sizeFromShape(stack);
    if (count !== 1 && count !== matrices) {
      throw new Error(
        `cannot multiply a stack of [${stacks[0]}] matrices by one of [${stacks[1]}]: neither is a single matrix`,
      );
    }
    return count === 1 ? 0 : (4 * tf.util.sizeFromShape(whole)) / count;
  };
  const [aStep, bStep] = [step(a, stacks[0]), step(b, stacks[1])];
  const [aAt, bAt, outAt] = [a, b, out].map((tensor) => addressOf(wasm, tensor)) as [number, number, number];
  for (let i = 0; i < matrices; i++) multiply(aAt + i * aStep, bAt + i * bStep, outAt + 4 * i * M * N);
  return out;
}

/** A copy of a stack, each matrix [K, N] turned to [N, K]; the caller disposes it. */
function turned(wasm: BackendWasm, stack: TensorInfo): TensorInfo {
  const [K, N] = stack.shape.slice(-2) as [number, number];
  const rows = wasm.makeOutput([...stack.shape.slice(0, -2), N, K], "float32");
  const from = wasm.typedArrayFromHeap(stack);
  const to = wasm.typedArrayFromHeap(rows);
  for (let first = 0; first < from.length; first += K * N) {
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) to[first + n * K + k] = from[first + k * N + n]!;
    }
  }
  return rows;
}

/** Where a tensor's numbers are in the heap. */
const addressOf = (wasm: BackendWasm, tensor: TensorInfo): number =>
  wasm.typedArrayFromHeap(tensor).byteOffset;

const instances = new WeakMap<BackendWasm, Products>();

/** Our functions, working in the backend's own heap. */
function productsOf(backend: BackendWasm): Products {
  let products = instances.get(backend);
  if (!products) {
    const code = Uint8Array.from(atob(PRODUCTS), (character) => character.charCodeAt(0));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), {
      backend: { memory: heapOf(backend).asm.memory },
    });
    products = exports as unknown as Products;
    instances.set(backend, products);
  }
  return products;
}
