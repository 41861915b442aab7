import * as tf from "@tensorflow/tfjs-core";
import type { KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import type { Call, MatMulAttributes } from "./replace-kernel.js";
import type { TensorFlowBackend } from "./tensorflow-backend.js";

type Binary<Attributes> = Call<"a" | "b", Attributes, TensorFlowBackend>;

/**
 * Matmul by TensorFlow's MatMul where both inputs are matrices. TensorFlow.js 4.22 always runs BatchMatMulV2, which
 * takes up to 1.7 times as long for one row times a matrix (1x576x49152 and 1x192x512 on two CPU cores).
 */
export function matMul({ inputs: { a, b }, attrs, backend }: Binary<MatMulAttributes>): TensorInfo {
  const { TF_ATTR_BOOL, TF_ATTR_TYPE } = backend.binding;
  const batched = a.shape.length > 2 || b.shape.length > 2;
  const [operation, first, second] = batched
    ? (["BatchMatMulV2", "adj_x", "adj_y"] as const)
    : (["MatMul", "transpose_a", "transpose_b"] as const);
  const attributes = [
    { name: "T", type: TF_ATTR_TYPE, value: backend.getDTypeInteger(a.dtype) },
    { name: first, type: TF_ATTR_BOOL, value: attrs.transposeA },
    { name: second, type: TF_ATTR_BOOL, value: attrs.transposeB },
  ];
  return backend.executeSingleOutput(operation, attributes, [a, b]);
}

/** Mean over axes. TensorFlow.js 4.22 casts to float32 first, even from float32: one more operation per RMSNorm. */
export function mean({
  inputs: { x },
  attrs,
  backend,
}: Call<"x", tf.MeanAttrs, TensorFlowBackend>): TensorInfo {
  return tf.tidy(() => {
    const input = x.dtype === "float32" ? x : tf.cast(x as tf.Tensor, "float32");
    const axes = tf.tensor1d(tf.util.parseAxisParam(attrs.axis, x.shape), "int32");
    const attributes = backend.createReductionOpAttrs(input, attrs.keepDims);
    return backend.executeSingleOutput(tf.Mean, attributes, [input, axes]);
  });
}

/**
 * A binary operation whose scalar inputs, such as eps, are uploaded once per value and not in every call.
 *
 * A GPU runs asynchronously, but an upload waits until all operations issued before it are done: with one upload for
 * each of the 50 scalars of a step, host and GPU would wait for each other instead of working in parallel.
 */
export function withUploadedScalars(operation: KernelFunc) {
  const uploaded = new Map<number, TensorInfo>();
  const upload = (tensor: TensorInfo, backend: TensorFlowBackend): TensorInfo => {
    if (tensor.shape.length > 0 || tensor.dtype !== "float32") return tensor;
    const value = backend.tensorMap.get(tensor.dataId)?.values?.[0];
    if (value === undefined) return tensor; // computed on the device
    let scalar = uploaded.get(value);
    if (!scalar) {
      scalar = { dataId: backend.write(Float32Array.of(value), [], "float32"), shape: [], dtype: "float32" };
      uploaded.set(value, scalar);
    }
    return scalar;
  };
  return ({ inputs: { a, b }, ...call }: Binary<tf.NamedAttrMap>) =>
    operation({ ...call, inputs: { a: upload(a, call.backend), b: upload(b, call.backend) } });
}

/**
 * `KVCacheWrite` on TensorFlow. InplaceUpdate overwrites rows of its first input, and Reshape shares its input's memory:
 * in the flat view [B*K*L, D] of the cache, position p of head h is row h·L + p.
 *
 * The operations go to the binding directly: the tensors that TensorFlow.js would wrap around them take longer than the
 * write itself (73 µs per write became 32, 1x8x1024x64 on two CPU cores).
 */
export function writeInPlace(
  backend: TensorFlowBackend,
  cache: TensorInfo,
  update: TensorInfo,
  position: number,
): void {
  const [heads, L] = cache.shape as [number, number];
  const T = update.shape[1]!;
  const indices = () =>
    Int32Array.from({ length: heads * T }, (_, i) => Math.floor(i / T) * L + position + (i % T));
  updateRows(backend, cache, update, rowIndices(backend, `${heads} ${L} ${T} ${position}`, indices));
}

/** `KVCacheWriteRows` on TensorFlow: the same with any rows of a cache, [N, D]. */
export function writeRowsInPlace(
  backend: TensorFlowBackend,
  cache: TensorInfo,
  update: TensorInfo,
  rows: Int32Array,
): void {
  updateRows(
    backend,
    cache,
    update,
    rowIndices(backend, rows, () => rows),
  );
}

/** `KVCacheReadRows` on TensorFlow. */
export function gatherRows(backend: TensorFlowBackend, cache: TensorInfo, rows: Int32Array): TensorInfo {
  const { binding } = backend;
  const { TF_INT32, TF_ATTR_TYPE: type } = binding;
  const indices = rowIndices(backend, rows, () => rows);
  const axis = binding.createTensor([], TF_INT32, Int32Array.of(0));
  const types = { Tparams: backend.getDTypeInteger(cache.dtype), Tindices: TF_INT32, Taxis: TF_INT32 };
  const attributes = Object.entries(types).map(([name, value]) => ({ name, type, value }));
  const inputs = [...backend.getInputTensorIds([cache]), indices, axis];
  try {
    return backend.createOutputTensor(binding.executeOp("GatherV2", attributes, inputs, 1)[0]!);
  } finally {
    binding.deleteTensor(axis);
  }
}

/** Overwrites rows of a tensor in its flat view, [-1, D]. */
function updateRows(backend: TensorFlowBackend, cache: TensorInfo, update: TensorInfo, rows: number): void {
  const { binding } = backend;
  const { TF_INT32 } = binding;
  const type = backend.getDTypeInteger(cache.dtype);
  const D = cache.shape.at(-1)!;
  const made: number[] = [];
  const flatten = (id: number) => {
    const shape = binding.createTensor([2], TF_INT32, Int32Array.of(-1, D));
    const flat = execute(backend, "Reshape", { T: type, Tshape: TF_INT32 }, [id, shape]);
    made.push(shape, flat);
    return flat;
  };
  const [cacheId, updateId] = backend.getInputTensorIds([cache, update]) as [number, number];
  try {
    const inputs = [flatten(cacheId), rows, flatten(updateId)];
    made.push(execute(backend, "InplaceUpdate", { T: type }, inputs));
  } finally {
    for (const id of made) binding.deleteTensor(id); // handles only: the cache's memory stays
  }
}

/** The row indices uploaded last, those of a write and those of a read, with what they were made of. */
let lastRows: readonly { readonly key: string | Int32Array; readonly id: number }[] = [];

/**
 * The rows that are written or read, in the flat view of a cache, on the device. They are the same for the keys and values
 * of all layers, so they are uploaded once per step: as the bits of floats, since TensorFlow.js keeps int32 tensors on
 * the host, from where each use would copy them again.
 */
function rowIndices(backend: TensorFlowBackend, key: string | Int32Array, make: () => Int32Array): number {
  const known = lastRows.find((rows) => rows.key === key);
  if (known) return known.id;
  const { binding } = backend;
  const { TF_INT32, TF_FLOAT } = binding;
  const indices = make();
  const bits = binding.createTensor([indices.length], TF_FLOAT, new Float32Array(indices.buffer));
  const id = execute(backend, "Bitcast", { T: TF_FLOAT, type: TF_INT32 }, [bits]);
  binding.deleteTensor(bits);
  const [latest, older] = lastRows;
  if (older) binding.deleteTensor(older.id);
  lastRows = [{ key, id }, ...(latest ? [latest] : [])];
  return id;
}

/** Runs an operation that has one output and only types as attributes; returns the output's id. */
function execute(
  { binding }: TensorFlowBackend,
  operation: string,
  types: Record<string, number>,
  inputs: number[],
): number {
  const type = binding.TF_ATTR_TYPE;
  const attributes = Object.entries(types).map(([name, value]) => ({ name, type, value }));
  return binding.executeOp(operation, attributes, inputs, 1)[0]!.id!;
}
