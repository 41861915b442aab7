import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../util/errors.js";
import type { Attribute, NodeType, TensorType } from "./graph.js";
import type { Recorder, Stored } from "./tracer.js";

/** What a kernel is called with. */
interface Call {
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  /** The operation's settings; each kernel knows the names and types of its own. */
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly recorder: Recorder;
}

type Kernel = (call: Call) => tf.TensorInfo;
type Attributes = Readonly<Record<string, Attribute>>;

const FLOAT: Attribute = { type: "float32" };
const INDEX: Attribute = { type: "int32" };

/** Adds one operation and describes its output. */
function add(
  { recorder }: Call,
  operation: string,
  inputs: readonly string[],
  attributes: Attributes,
  shape: readonly number[],
  dtype: TensorType = "float32",
): tf.TensorInfo {
  return recorder.info(recorder.graph.add(operation, inputs, attributes), shape, dtype);
}

/** Refuses what a kernel would record wrongly, because the model has no use for it. */
function only(known: boolean, what: string): void {
  if (!known) throw new InputError(`${what} cannot be recorded; the model must do without it`);
}

/** Whole numbers as a vector: how TensorFlow takes shapes, axes and positions. */
const vector = ({ recorder }: Call, values: readonly number[]): string =>
  recorder.graph.constant(values, [values.length], "int32");

/** Of one tensor, number by number. */
const unary =
  (operation: string): Kernel =>
  (call) => {
    const [x] = Object.values(call.inputs) as [tf.TensorInfo];
    return add(call, operation, [call.recorder.nameOf(x)], { T: FLOAT }, x.shape);
  };

/** Of two tensors, number by number, the smaller repeated along the larger. */
const binary =
  (operation: string): Kernel =>
  (call) => {
    const { a, b } = call.inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
    const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const names = [a, b].map((tensor) => call.recorder.nameOf(tensor));
    const dtype = a.dtype as TensorType;
    return add(call, operation, names, { T: { type: dtype } }, shape, dtype);
  };

const reshape: Kernel = (call) => {
  const { x } = call.inputs as { x: tf.TensorInfo };
  const shape = tf.util.inferFromImplicitShape(
    call.attrs["shape"] as number[],
    tf.util.sizeFromShape(x.shape),
  );
  const inputs = [call.recorder.nameOf(x), vector(call, shape)];
  const dtype = x.dtype as TensorType;
  return add(call, "Reshape", inputs, { T: { type: dtype }, Tshape: INDEX }, shape, dtype);
};

const matMul: Kernel = (call) => {
  const { a, b } = call.inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  only(`${a.shape.slice(0, -2)}` === `${b.shape.slice(0, -2)}`, "a product of unequal batches");
  const { transposeA, transposeB } = call.attrs as { transposeA: boolean; transposeB: boolean };
  const rows = a.shape.at(transposeA ? -1 : -2)!;
  const columns = b.shape.at(transposeB ? -2 : -1)!;
  const shape = [...a.shape.slice(0, -2), rows, columns];
  const [x, y] = [a, b].map((tensor) => call.recorder.storedAs(tensor)) as [Stored, Stored];
  if (x.type !== y.type) return mixedMatMul(call, x, y, shape);
  return shape.length === 2
    ? add(call, "MatMul", [x.name, y.name], { T: FLOAT, transpose_a: { bool: transposeA }, transpose_b: { bool: transposeB } }, shape) // prettier-ignore
    : add(call, "BatchMatMulV2", [x.name, y.name], { T: FLOAT, adj_x: { bool: transposeA }, adj_y: { bool: transposeB } }, shape); // prettier-ignore
};

/**
 * By a matrix of bfloat16 weights: what it is multiplied by is rounded, too, so that the card's units for such products
 * do them. They add up in float32, and round each sum.
 */
function mixedMatMul(call: Call, x: Stored, y: Stored, shape: readonly number[]): tf.TensorInfo {
  const { graph } = call.recorder;
  const { transposeA, transposeB } = call.attrs as { transposeA: boolean; transposeB: boolean };
  const inputs = [x, y].map(({ name, type }) => (type === "bfloat16" ? name : graph.cast(name, type, "bfloat16"))); // prettier-ignore
  const attributes = { T: { type: "bfloat16" }, transpose_a: { bool: transposeA }, transpose_b: { bool: transposeB } } as const; // prettier-ignore
  return call.recorder.info(graph.cast(graph.add("MatMul", inputs, attributes), "bfloat16", "float32"), shape, "float32"); // prettier-ignore
}

/** Many numbers become one, along some axes. */
const reduction =
  (operation: string): Kernel =>
  (call) => {
    const { x } = call.inputs as { x: tf.TensorInfo };
    const { axis, reductionIndices, keepDims } = call.attrs as { axis?: number | number[]; reductionIndices?: number[]; keepDims: boolean }; // prettier-ignore
    const axes = tf.util.parseAxisParam((axis ?? reductionIndices)!, x.shape); // Max has its own word for it
    const kept = x.shape.map((size, i) => (axes.includes(i) ? 1 : size));
    const shape = keepDims ? kept : kept.filter((_, i) => !axes.includes(i));
    const inputs = [call.recorder.nameOf(x), vector(call, axes)];
    return add(call, operation, inputs, { T: FLOAT, Tidx: INDEX, keep_dims: { bool: keepDims } }, shape);
  };

const slice: Kernel = (call) => {
  const { x } = call.inputs as { x: tf.TensorInfo };
  const { begin, size } = call.attrs as { begin: number[]; size: number[] };
  const [from, sizes] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size) as [number[], number[]];
  const inputs = [call.recorder.nameOf(x), vector(call, from), vector(call, sizes)];
  return add(call, "Slice", inputs, { T: FLOAT, Index: INDEX }, sizes);
};

const concat: Kernel = (call) => {
  const parts = Object.values(call.inputs);
  const [axis] = tf.util.parseAxisParam(call.attrs["axis"] as number, parts[0]!.shape) as [number];
  const shape = tf.backend_util.computeOutShape(parts.map((part) => part.shape), axis); // prettier-ignore
  const inputs = [...parts.map((part) => call.recorder.nameOf(part)), scalar(call, axis)];
  return add(call, "ConcatV2", inputs, { N: { count: parts.length }, T: FLOAT, Tidx: INDEX }, shape);
};

const transpose: Kernel = (call) => {
  const { x } = call.inputs as { x: tf.TensorInfo };
  const perm = call.attrs["perm"] as number[];
  const inputs = [call.recorder.nameOf(x), vector(call, perm)];
  return add(call, "Transpose", inputs, { T: FLOAT, Tperm: INDEX }, perm.map((axis) => x.shape[axis]!)); // prettier-ignore
};

const gather: Kernel = (call) => {
  only(call.attrs["axis"] === 0 && !call.attrs["batchDims"], "gather along another axis than the first");
  const { x, indices } = call.inputs as { x: tf.TensorInfo; indices: tf.TensorInfo };
  const { name, type } = call.recorder.storedAs(x);
  const inputs = [name, call.recorder.nameOf(indices), scalar(call, 0)];
  const types = { Tparams: { type }, Tindices: INDEX, Taxis: INDEX };
  const rows = call.recorder.graph.add("GatherV2", inputs, types);
  const widened = type === "float32" ? rows : call.recorder.graph.cast(rows, type, "float32");
  return call.recorder.info(widened, [...indices.shape, ...x.shape.slice(1)], "float32");
};

const range: Kernel = (call) => {
  only((call.attrs["dtype"] ?? "float32") === "float32", "a range of whole numbers");
  const { start, stop, step } = call.attrs as { start: number; stop: number; step: number };
  const values = Array.from({ length: Math.ceil((stop - start) / step) }, (_, i) => start + i * step);
  return call.recorder.info(call.recorder.graph.constant(values, [values.length], "float32"), [values.length], "float32"); // prettier-ignore
};

const comparison =
  (operation: string): Kernel =>
  (call) => ({ ...binary(operation)(call), dtype: "bool" });

const cast: Kernel = (call) => {
  only(call.attrs["dtype"] === "float32", `a cast to ${String(call.attrs["dtype"])}`);
  const { x } = call.inputs as { x: tf.TensorInfo };
  const types = { SrcT: { type: x.dtype as NodeType }, DstT: FLOAT };
  return add(call, "Cast", [call.recorder.nameOf(x)], types, x.shape);
};

const scalar = ({ recorder }: Call, value: number): string => recorder.graph.constant([value], [], "int32");

/** Every operation that a Llama is made of, by TensorFlow.js's name. What is not here is refused by its name. */
const KERNELS: Readonly<Record<string, Kernel>> = {
  [tf.Add]: binary("AddV2"),
  [tf.BatchMatMul]: matMul,
  [tf.Cast]: cast,
  [tf.Concat]: concat,
  [tf.GatherV2]: gather,
  [tf.Greater]: comparison("Greater"),
  [tf.Less]: comparison("Less"),
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

/** Registers the recorder's kernels, once. */
export function registerKernels(backendName: string): void {
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    if (tf.getKernel(kernelName, backendName)) continue;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs, backend }) =>
        kernel({
          inputs: inputs as Call["inputs"],
          attrs: attrs as Call["attrs"],
          recorder: backend as Recorder,
        }),
    });
  }
}
