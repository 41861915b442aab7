import * as tf from "@tensorflow/tfjs-core";
import type { Attribute, NodeType, TensorType } from "./graph.js";
import type { Tracer } from "./tracer.js";

type Input = "x" | "a" | "b" | "indices" | "condition" | "t" | "e" | "tensor" | "updates";

/** A kernel's arguments; each kernel has some of these inputs and attributes. */
interface Call {
  readonly tracer: Tracer;
  readonly inputs: Readonly<Record<Input, tf.TensorInfo>>;
  readonly attrs: tf.BatchMatMulAttrs &
    Pick<tf.MaxAttrs, "reductionIndices" | "keepDims"> &
    (tf.CastAttrs & tf.ConcatAttrs & tf.GatherV2Attrs & tf.RangeAttrs) &
    (tf.ReshapeAttrs & tf.SliceAttrs & tf.SumAttrs & tf.TransposeAttrs);
}

/** Adds an operation to the tracer's graph and describes its output. */
export type Kernel = (call: Call) => tf.TensorInfo;

const FLOAT: Attribute = { type: "float32" };
const INDEX: Attribute = { type: "int32" };

/**
 * Adds an operation and describes its output.
 *
 * @param inputs tensors, and shapes or axes, which are int32 constants in TensorFlow
 */
function add(
  { tracer }: Call,
  operation: string,
  inputs: readonly (tf.TensorInfo | number | readonly number[])[],
  attributes: Readonly<Record<string, Attribute>>,
  shape: readonly number[],
  dtype: TensorType = "float32",
): tf.TensorInfo {
  const names = inputs.map((input) => {
    if (typeof input === "number") return tracer.graph.constant([input], [], "int32");
    return "dataId" in input ? tracer.nameOf(input) : tracer.graph.constant(input, [input.length], "int32");
  });
  return tracer.info(tracer.graph.add(operation, names, attributes), shape, dtype);
}

const unary =
  (operation: string): Kernel =>
  (call) => {
    const [x] = Object.values(call.inputs) as [tf.TensorInfo]; // softmax calls it logits
    return add(call, operation, [x], { T: FLOAT }, x.shape);
  };

const binary =
  (operation: string, dtype?: TensorType): Kernel =>
  (call) => {
    const { a, b } = call.inputs;
    const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const type = a.dtype as TensorType;
    return add(call, operation, [a, b], { T: { type } }, shape, dtype ?? type);
  };

const reshape: Kernel = (call) => {
  const { x } = call.inputs;
  const shape = tf.util.inferFromImplicitShape(call.attrs.shape, tf.util.sizeFromShape(x.shape));
  const type = x.dtype as TensorType;
  return add(call, "Reshape", [x, shape], { T: { type }, Tshape: INDEX }, shape, type);
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
    const attributes = { T: FLOAT, adj_x: { bool: transposeA }, adj_y: { bool: transposeB } };
    return add(call, "BatchMatMulV2", [a, b], attributes, shape);
  }
  const { tracer } = call;
  const { graph, joint } = tracer;
  const outputs = [a, b].map((tensor) => tracer.outputOf(tensor));
  const type: NodeType = outputs.some((output) => output.type === "bfloat16") ? "bfloat16" : "float32";
  const multiply = (...names: string[]): string => {
    const inputs = names.map((name, i) => graph.cast(name, outputs[i]!.type, type));
    const attributes = { T: { type }, transpose_a: { bool: transposeA }, transpose_b: { bool: transposeB } };
    return graph.cast(graph.add("MatMul", inputs, attributes), type, "float32");
  };
  const [x, w] = outputs.map(({ name }) => name) as [string, string];
  const plain = !transposeA && !transposeB;
  const product = plain ? joint.product(graph, x, b, (all) => multiply(x, all)) : undefined;
  return tracer.info(product ?? multiply(x, w), shape, "float32");
};

const reduction =
  (operation: string, dtype: TensorType = "float32"): Kernel =>
  (call) => {
    const { x } = call.inputs;
    const { axis, reductionIndices, keepDims } = call.attrs;
    const axes = tf.util.parseAxisParam(axis ?? reductionIndices, x.shape); // max calls it reductionIndices
    const [shape] = tf.backend_util.computeOutAndReduceShapes(x.shape, axes);
    const kept = tf.backend_util.expandShapeToKeepDim(shape, axes);
    const attributes = {
      ...(dtype === "float32" && { T: FLOAT }),
      Tidx: INDEX,
      keep_dims: { bool: keepDims },
    };
    return add(call, operation, [x, axes], attributes, keepDims ? kept : shape, dtype);
  };

const slice: Kernel = (call) => {
  const { x } = call.inputs;
  const { begin, size } = call.attrs;
  const [from, sizes] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size) as [number[], number[]];
  const type = x.dtype as TensorType;
  return add(call, "Slice", [x, from, sizes], { T: { type }, Index: INDEX }, sizes, type);
};

const concat: Kernel = (call) => {
  const parts = Object.values(call.inputs);
  const shapes = parts.map(({ shape }) => shape);
  const [axis] = tf.util.parseAxisParam(call.attrs.axis, shapes[0]!) as [number];
  const attributes = { N: { int: parts.length }, T: FLOAT, Tidx: INDEX };
  return add(call, "ConcatV2", [...parts, axis], attributes, tf.backend_util.computeOutShape(shapes, axis));
};

const transpose: Kernel = (call) => {
  const { x } = call.inputs;
  const { perm } = call.attrs;
  const shape = perm.map((axis) => x.shape[axis]!);
  return add(call, "Transpose", [x, perm], { T: FLOAT, Tperm: INDEX }, shape);
};

const gather: Kernel = ({ tracer, inputs: { x, indices }, attrs }) => {
  const [axis] = tf.util.parseAxisParam(attrs.axis, x.shape) as [number];
  const { name, type } = tracer.outputOf(x);
  const inputs = [name, tracer.nameOf(indices), tracer.graph.constant([axis], [], "int32")];
  const types = { Tparams: { type }, Tindices: INDEX, Taxis: INDEX, batch_dims: { int: attrs.batchDims } };
  const gathered = tracer.graph.add("GatherV2", inputs, types);
  const within = indices.shape.slice(attrs.batchDims);
  const shape = [...x.shape.slice(0, axis), ...within, ...x.shape.slice(axis + 1)];
  const dtype = x.dtype as TensorType;
  return tracer.info(tracer.graph.cast(gathered, type, dtype), shape, dtype);
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
  return add(call, "Cast", [x], types, x.shape, dtype);
};

const select: Kernel = (call) => {
  const { condition, t, e } = call.inputs;
  return add(
    call,
    "SelectV2",
    [condition, t, e],
    { T: { type: t.dtype as NodeType } },
    t.shape,
    t.dtype as TensorType,
  );
};

const scatterUpdate: Kernel = (call) => {
  const { tensor, indices, updates } = call.inputs;
  const attributes = { T: { type: tensor.dtype as NodeType }, Tindices: INDEX };
  return add(
    call,
    "TensorScatterUpdate",
    [tensor, indices, updates],
    attributes,
    tensor.shape,
    tensor.dtype as TensorType,
  );
};

/** The operations that a Llama and its decode blocks are made of, by TensorFlow.js's name. */
export const KERNELS: Readonly<Record<string, Kernel>> = {
  [tf.Add]: binary("AddV2"),
  [tf.Any]: reduction("Any", "bool"),
  [tf.BatchMatMul]: matMul,
  [tf.Cast]: cast,
  [tf.Concat]: concat,
  [tf.Equal]: binary("Equal", "bool"),
  [tf.GatherV2]: gather,
  [tf.Greater]: binary("Greater", "bool"),
  [tf.Identity]: ({ inputs: { x } }) => x,
  [tf.Less]: binary("Less", "bool"),
  [tf.Max]: reduction("Max"),
  [tf.Mean]: reduction("Mean"),
  [tf.Min]: reduction("Min"),
  [tf.Minimum]: binary("Minimum"),
  [tf.Multiply]: binary("Mul"),
  [tf.Range]: range,
  [tf.Reshape]: reshape,
  [tf.Rsqrt]: unary("Rsqrt"),
  [tf.Select]: select,
  [tf.Sigmoid]: unary("Sigmoid"),
  [tf.Slice]: slice,
  [tf.Softmax]: unary("Softmax"),
  [tf.Square]: unary("Square"),
  [tf.Sub]: binary("Sub"),
  [tf.Sum]: reduction("Sum"),
  [tf.TensorScatterUpdate]: scatterUpdate,
  [tf.Transpose]: transpose,
};
