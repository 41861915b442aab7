import * as tf from "@tensorflow/tfjs-core";
import type { Attribute, NodeType, TensorType } from "./graph.js";
import type { Tracer } from "./tracer.js";

/** A kernel's arguments; each kernel has some of these inputs and attributes. */
interface Call {
  readonly tracer: Tracer;
  readonly inputs: Readonly<Record<"x" | "a" | "b" | "indices", tf.TensorInfo>>;
  readonly attrs: tf.BatchMatMulAttrs &
    Pick<tf.MaxAttrs, "reductionIndices" | "keepDims"> &
    (tf.CastAttrs & tf.ConcatAttrs & tf.GatherV2Attrs & tf.RangeAttrs) &
    (tf.ReshapeAttrs & tf.SliceAttrs & tf.SumAttrs & tf.TransposeAttrs);
}

/** Adds an operation to the tracer's graph and describes its output. */
export type Kernel = (call: Call) => tf.TensorInfo;

const FLOAT: Attribute = { type: "float32" };
const INDEX: Attribute = { type: "int32" };

function add(
  { tracer }: Call,
  operation: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>>,
  shape: readonly number[],
  dtype: TensorType = "float32",
): tf.TensorInfo {
  return tracer.info(tracer.graph.add(operation, inputs, attributes), shape, dtype);
}

/** Shapes and axes are int32 constants in TensorFlow. */
const vector = ({ tracer }: Call, values: readonly number[]): string =>
  tracer.graph.constant(values, [values.length], "int32");
const scalar = ({ tracer }: Call, value: number): string => tracer.graph.constant([value], [], "int32");

const unary =
  (operation: string): Kernel =>
  (call) => {
    const [x] = Object.values(call.inputs) as [tf.TensorInfo]; // softmax calls it logits
    return add(call, operation, [call.tracer.nameOf(x)], { T: FLOAT }, x.shape);
  };

const binary =
  (operation: string, dtype?: TensorType): Kernel =>
  (call) => {
    const { a, b } = call.inputs;
    const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const names = [a, b].map((tensor) => call.tracer.nameOf(tensor));
    const type = a.dtype as TensorType;
    return add(call, operation, names, { T: { type } }, shape, dtype ?? type);
  };

const reshape: Kernel = (call) => {
  const { x } = call.inputs;
  const shape = tf.util.inferFromImplicitShape(call.attrs.shape, tf.util.sizeFromShape(x.shape));
  const names = [call.tracer.nameOf(x), vector(call, shape)];
  const type = x.dtype as TensorType;
  return add(call, "Reshape", names, { T: { type }, Tshape: INDEX }, shape, type);
};

/**
 * With bfloat16 weights the activations are rounded to bfloat16, too: GPUs and newer CPUs have units for such matmuls.
 * They accumulate in float32 and round the sums to bfloat16; TensorFlow truncates them on CPUs without AVX-512.
 */
const matMul: Kernel = (call) => {
  const { a, b } = call.inputs;
  const { transposeA, transposeB } = call.attrs;
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...batch, a.shape.at(transposeA ? -1 : -2)!, b.shape.at(transposeB ? -2 : -1)!];
  if (shape.length > 2) {
    const names = [a, b].map((tensor) => call.tracer.nameOf(tensor));
    const attributes = { T: FLOAT, adj_x: { bool: transposeA }, adj_y: { bool: transposeB } };
    return add(call, "BatchMatMulV2", names, attributes, shape);
  }
  const outputs = [a, b].map((tensor) => call.tracer.outputOf(tensor));
  const { graph } = call.tracer;
  const type: NodeType = outputs.some((output) => output.type === "bfloat16") ? "bfloat16" : "float32";
  const names = outputs.map((output) => graph.cast(output.name, output.type, type));
  const attributes = { T: { type }, transpose_a: { bool: transposeA }, transpose_b: { bool: transposeB } };
  const product = graph.add("MatMul", names, attributes);
  return call.tracer.info(graph.cast(product, type, "float32"), shape, "float32");
};

const reduction =
  (operation: string): Kernel =>
  (call) => {
    const { x } = call.inputs;
    const { axis, reductionIndices, keepDims } = call.attrs;
    const axes = tf.util.parseAxisParam(axis ?? reductionIndices, x.shape); // max calls it reductionIndices
    const kept = x.shape.map((size, i) => (axes.includes(i) ? 1 : size));
    const shape = keepDims ? kept : kept.filter((_, i) => !axes.includes(i));
    const names = [call.tracer.nameOf(x), vector(call, axes)];
    return add(call, operation, names, { T: FLOAT, Tidx: INDEX, keep_dims: { bool: keepDims } }, shape);
  };

const slice: Kernel = (call) => {
  const { x } = call.inputs;
  const { begin, size } = call.attrs;
  const [from, sizes] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size) as [number[], number[]];
  const names = [call.tracer.nameOf(x), vector(call, from), vector(call, sizes)];
  return add(call, "Slice", names, { T: FLOAT, Index: INDEX }, sizes);
};

const concat: Kernel = (call) => {
  const parts = Object.values(call.inputs);
  const shapes = parts.map(({ shape }) => shape);
  const [axis] = tf.util.parseAxisParam(call.attrs.axis, shapes[0]!) as [number];
  const names = [...parts.map((part) => call.tracer.nameOf(part)), scalar(call, axis)];
  const attributes = { N: { int: parts.length }, T: FLOAT, Tidx: INDEX };
  return add(call, "ConcatV2", names, attributes, tf.backend_util.computeOutShape(shapes, axis));
};

const transpose: Kernel = (call) => {
  const { x } = call.inputs;
  const { perm } = call.attrs;
  const names = [call.tracer.nameOf(x), vector(call, perm)];
  const shape = perm.map((axis) => x.shape[axis]!);
  return add(call, "Transpose", names, { T: FLOAT, Tperm: INDEX }, shape);
};

const gather: Kernel = (call) => {
  const { x, indices } = call.inputs;
  const { graph } = call.tracer;
  const [axis] = tf.util.parseAxisParam(call.attrs.axis, x.shape) as [number];
  const batchDims = call.attrs.batchDims;
  const { name, type } = call.tracer.outputOf(x);
  const names = [name, call.tracer.nameOf(indices), scalar(call, axis)];
  const types = { Tparams: { type }, Tindices: INDEX, Taxis: INDEX, batch_dims: { int: batchDims } };
  const gathered = graph.add("GatherV2", names, types);
  const shape = [...x.shape.slice(0, axis), ...indices.shape.slice(batchDims), ...x.shape.slice(axis + 1)];
  return call.tracer.info(graph.cast(gathered, type, "float32"), shape, "float32");
};

const range: Kernel = ({ tracer, attrs: { start, stop, step, dtype = "float32" } }) => {
  const values = Array.from({ length: Math.ceil((stop - start) / step) }, (_, i) => start + i * step);
  const shape = [values.length];
  return tracer.info(tracer.graph.constant(values, shape, dtype), shape, dtype);
};

const cast: Kernel = (call) => {
  const { x } = call.inputs;
  const dtype = call.attrs.dtype as TensorType;
  const types = { SrcT: { type: x.dtype as NodeType }, DstT: { type: dtype } };
  return add(call, "Cast", [call.tracer.nameOf(x)], types, x.shape, dtype);
};

/** The operations that a Llama is made of, by TensorFlow.js's name. */
export const KERNELS: Readonly<Record<string, Kernel>> = {
  [tf.Add]: binary("AddV2"),
  [tf.BatchMatMul]: matMul,
  [tf.Cast]: cast,
  [tf.Concat]: concat,
  [tf.GatherV2]: gather,
  [tf.Greater]: binary("Greater", "bool"),
  [tf.Less]: binary("Less", "bool"),
  [tf.Max]: reduction("Max"),
  [tf.Mean]: reduction("Mean"),
  [tf.Min]: reduction("Min"),
  [tf.Multiply]: binary("Mul"),
  [tf.Range]: range,
  [tf.Reshape]: reshape,
  [tf.Rsqrt]: unary("Rsqrt"),
  [tf.Sigmoid]: unary("Sigmoid"),
  [tf.Slice]: slice,
  [tf.Softmax]: unary("Softmax"),
  [tf.Square]: unary("Square"),
  [tf.Sum]: reduction("Sum"),
  [tf.Transpose]: transpose,
};
