import * as tf from "@tensorflow/tfjs-core";
import type { KernelConfig } from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";

/**
 * Products of matrices by TensorFlow's MatMul. TensorFlow.js 4.22 has BatchMatMulV2 do them all, which for one row
 * times a matrix takes up to 1.7 times as long (1x576x49152 and 1x192x512 on two CPU cores).
 */
export const matMul: KernelConfig["kernelFunc"] = ({ inputs, attrs, backend }) => {
  const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
  const node = backend as NodeJSKernelBackend;
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
export const mean: KernelConfig["kernelFunc"] = ({ inputs, attrs, backend }) => {
  const { x } = inputs as { x: tf.TensorInfo };
  const { axis, keepDims } = attrs as { axis: number | number[]; keepDims: boolean };
  const node = backend as NodeJSKernelBackend;
  return tf.tidy(() => {
    const input = x.dtype === "float32" ? x : tf.cast(x as tf.Tensor, "float32");
    const axes = tf.tensor1d(tf.util.parseAxisParam(axis, x.shape), "int32");
    return node.executeSingleOutput(tf.Mean, node.createReductionOpAttrs(input, keepDims), [input, axes]);
  });
};

/**
 * `KVCacheWrite` on TensorFlow: InplaceUpdate overwrites rows of its first input, and Reshape shares its input's
 * memory, so on the flat view [R*L, D] of the cache, position p of row r is row r·L + p.
 *
 * The three operations go to the binding directly, since the tensors that TensorFlow.js would wrap around them cost
 * more than the write: 73 µs a write became 32 (1x8x1024x64, two CPU cores).
 */
export function writeInPlace(
  backend: NodeJSKernelBackend,
  cache: tf.TensorInfo,
  update: tf.TensorInfo,
  position: number,
): void {
  const { binding } = backend;
  const { TF_INT32, TF_FLOAT, TF_ATTR_TYPE } = binding;
  const [R, L, D] = cache.shape as [number, number, number];
  const T = update.shape[1]!;
  const made: number[] = [];
  const int32 = (values: Int32Array) => {
    const id = binding.createTensor([values.length], TF_INT32, values);
    made.push(id);
    return id;
  };
  const execute = (operation: string, types: Record<string, number>, ids: number[]) => {
    const attributes = Object.entries(types).map(([name, value]) => ({ name, type: TF_ATTR_TYPE, value }));
    const [output] = binding.executeOp(operation, attributes, ids, 1);
    made.push(output!.id!);
    return output!.id!;
  };
  const reshape = (id: number, rows: number) =>
    execute("Reshape", { T: TF_FLOAT, Tshape: TF_INT32 }, [id, int32(Int32Array.of(rows, D))]);

  const [cacheId, updateId] = tensorIds(backend, [cache, update]);
  const indices = new Int32Array(R * T);
  for (let i = 0; i < R * T; i++) indices[i] = Math.floor(i / T) * L + position + (i % T);
  try {
    execute("InplaceUpdate", { T: TF_FLOAT }, [
      reshape(cacheId!, R * L),
      int32(indices),
      reshape(updateId!, R * T),
    ]);
  } finally {
    for (const id of made) binding.deleteTensor(id); // handles only: the cache's memory stays
  }
}

/** The native library's numbers for tensors; the backend keeps them to itself. */
function tensorIds(backend: NodeJSKernelBackend, tensors: tf.TensorInfo[]): number[] {
  const { getInputTensorIds } = backend as unknown as {
    getInputTensorIds: (tensors: tf.TensorInfo[]) => number[];
  };
  return getInputTensorIds.call(backend, tensors);
}
