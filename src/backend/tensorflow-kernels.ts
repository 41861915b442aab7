import * as tf from "@tensorflow/tfjs-core";
import type { KernelFunc } from "@tensorflow/tfjs-core";
import type { TensorFlowBackend } from "./tensorflow-backend.js";

/**
 * Products of matrices by TensorFlow's MatMul. TensorFlow.js 4.22 has BatchMatMulV2 do them all, which for one row
 * times a matrix takes up to 1.7 times as long (1x576x49152 and 1x192x512 on two CPU cores).
 */
export const matMul: KernelFunc = ({ inputs, attrs, backend }) => {
  const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
  const node = backend as TensorFlowBackend;
  const { TF_ATTR_BOOL, TF_ATTR_TYPE } = node.binding;
  const batched = a.shape.length > 2 || b.shape.length > 2;
  const [operation, first, second] = batched
    ? ["BatchMatMulV2", "adj_x", "adj_y"]
    : ["MatMul", "transpose_a", "transpose_b"];
  const attributes = [
    { name: "T", type: TF_ATTR_TYPE, value: node.getDTypeInteger(a.dtype) },
    { name: first!, type: TF_ATTR_BOOL, value: transposeA },
    { name: second!, type: TF_ATTR_BOOL, value: transposeB },
  ];
  return node.executeSingleOutput(operation!, attributes, [a, b]);
};

/** Mean over axes. TensorFlow.js 4.22 casts to float32 first, also what is float32: one operation more for each RMSNorm. */
export const mean: KernelFunc = ({ inputs, attrs, backend }) => {
  const { x } = inputs as { x: tf.TensorInfo };
  const { axis, keepDims } = attrs as { axis: number | number[]; keepDims: boolean };
  const node = backend as TensorFlowBackend;
  return tf.tidy(() => {
    const input = x.dtype === "float32" ? x : tf.cast(x as tf.Tensor, "float32");
    const axes = tf.tensor1d(tf.util.parseAxisParam(axis, x.shape), "int32");
    return node.executeSingleOutput(tf.Mean, node.createReductionOpAttrs(input, keepDims), [input, axes]);
  });
};

/**
 * An operation on two tensors, with the numbers among them, such as eps, sent to the device once and not every time.
 *
 * A card works behind the host's back, but an upload waits until it has done all that was issued before: with one for
 * each of a step's 50 numbers, host and card take turns instead of working side by side.
 */
export function withSharedNumbers(operation: KernelFunc): KernelFunc {
  const sent = new Map<number, tf.TensorInfo>();
  const shared = (tensor: tf.TensorInfo, backend: TensorFlowBackend): tf.TensorInfo => {
    if (tensor.shape.length > 0 || tensor.dtype !== "float32") return tensor;
    const value = backend.tensorMap.get(tensor.dataId)?.values?.[0];
    if (value === undefined) return tensor; // computed on the device
    let info = sent.get(value);
    if (!info) {
      info = { dataId: backend.write(Float32Array.of(value), [], "float32"), shape: [], dtype: "float32" };
      sent.set(value, info);
    }
    return info;
  };
  return ({ inputs, attrs, backend }) => {
    const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
    const node = backend as TensorFlowBackend;
    return operation({
      inputs: { a: shared(a, node), b: shared(b, node) },
      backend,
      ...(attrs && { attrs }),
    });
  };
}

/**
 * `KVCacheWrite` on TensorFlow: InplaceUpdate overwrites rows of its first input, and Reshape shares its input's
 * memory, so on the flat view [R*L, D] of the cache, position p of row r is row r·L + p.
 *
 * Where the rows go is the same for the keys and values of every layer, so it is sent to the device once a step: the
 * numbers' bits as floats, since TensorFlow.js leaves whole numbers on the host, whence every use would copy them anew.
 *
 * The operations go to the binding directly, since the tensors that TensorFlow.js would wrap around them cost more than
 * the write: 73 µs a write became 32 (1x8x1024x64, two CPU cores).
 */
export function writeInPlace(
  backend: TensorFlowBackend,
  cache: tf.TensorInfo,
  update: tf.TensorInfo,
  position: number,
): void {
  const { binding } = backend;
  const { TF_INT32, TF_FLOAT } = binding;
  const [R, L, D] = cache.shape as [number, number, number];
  const T = update.shape[1]!;
  const made: number[] = [];
  const keep = (id: number) => (made.push(id), id);
  const reshape = (id: number, rows: number) => {
    const shape = keep(binding.createTensor([2], TF_INT32, Int32Array.of(rows, D)));
    return keep(execute(backend, "Reshape", { T: TF_FLOAT, Tshape: TF_INT32 }, [id, shape]));
  };
  const [cacheId, updateId] = backend.getInputTensorIds([cache, update]);
  try {
    const rows = rowIndices(backend, R, L, T, position);
    const inputs = [reshape(cacheId!, R * L), rows, reshape(updateId!, R * T)];
    keep(execute(backend, "InplaceUpdate", { T: TF_FLOAT }, inputs));
  } finally {
    for (const id of made) binding.deleteTensor(id); // handles only: the cache's memory stays
  }
}

/** The row indices that were sent last, and what they were for. */
let lastRows: { readonly key: string; readonly id: number } | undefined;

/** Where T positions of each of R rows are in the flat view of a cache, on the device. */
function rowIndices(backend: TensorFlowBackend, R: number, L: number, T: number, position: number): number {
  const key = `${R} ${L} ${T} ${position}`;
  if (lastRows?.key === key) return lastRows.id;
  const { binding } = backend;
  const { TF_INT32, TF_FLOAT } = binding;
  const indices = new Int32Array(R * T);
  for (let i = 0; i < R * T; i++) indices[i] = Math.floor(i / T) * L + position + (i % T);
  const bits = binding.createTensor([R * T], TF_FLOAT, new Float32Array(indices.buffer));
  const id = execute(backend, "Bitcast", { T: TF_FLOAT, type: TF_INT32 }, [bits]);
  binding.deleteTensor(bits);
  if (lastRows) binding.deleteTensor(lastRows.id);
  lastRows = { key, id };
  return id;
}

/** Runs one operation that has one output and only types for attributes; returns the output's number. */
function execute(
  { binding }: TensorFlowBackend,
  operation: string,
  types: Record<string, number>,
  inputs: number[],
): number {
  const attributes = Object.entries(types).map(([name, value]) => ({
    name,
    type: binding.TF_ATTR_TYPE,
    value,
  }));
  return binding.executeOp(operation, attributes, inputs, 1)[0]!.id!;
}
