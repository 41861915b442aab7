import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { type SamplingOptions, uniform } from "../generation/sampling.js";
import type { GraphNode } from "./graph.js";
import type { InputValues } from "./session.js";
import type { Tracer } from "./tracer.js";

const DOUBLE = { type: "float64" } as const;
const INT = { type: "int32" } as const;

/**
 * Declares the inputs of sampling and returns the function that samples in the graph, for `traceDecodeBlock`: the same
 * computation as `sampleTopP` of src/generation/sampling.ts, also in float64, so it draws the same tokens from the same
 * logits. The uniform random numbers are inputs, in the order of their use. Operations on float64 numbers are added to the
 * graph one by one, as TensorFlow.js has no such tensors.
 *
 * @param steps of a block, at most
 */
export function samplingInGraph(tracer: Tracer, B: number, steps: number) {
  const { graph } = tracer;
  const draws = tracer.input<tf.Rank.R2>("draws", [steps, B], "int32"); // uniform 32-bit numbers, less 2^31
  const settings = tracer.input<tf.Rank.R2>("settings", [2, PARTS], "float32"); // temperature and topP
  const topK = tracer.input<tf.Rank.R1>("topK", [1], "int32");

  return (logits: Tensor2D, step: Tensor1D): Tensor2D => {
    const V = logits.shape[1];
    const add = (operation: string, inputs: string[], attributes: GraphNode["attributes"] = {}) =>
      graph.add(operation, inputs, { T: DOUBLE, ...attributes });
    const double = (tensor: tf.Tensor) =>
      graph.cast(tracer.nameOf(tensor), tensor.dtype as "int32", "float64");
    const number = (value: number) => graph.constant([value], [], "float64");
    const ints = (...values: number[]) => graph.constant(values, [values.length], "int32");
    const column = (x: string, i: number) => add("Slice", [x, ints(0, i), ints(B, 1)], { Index: INT }); // [B, 1]
    const along = { Tidx: INT, keep_dims: { bool: true } } as const;

    const [temperature, topP] = [0, 1].map((row) => {
      const parts = double(tf.slice(settings, [row, 0], [1, PARTS]));
      return add("Sum", [parts, ints(1)], along); // [1, 1]
    }) as [string, string];
    const first = graph.constant([V], [], "int32");
    const sorted = graph.add("TopKV2", [tracer.nameOf(logits), first], { T: { type: "float32" } }); // most likely first
    const top = graph.cast(sorted, "float32", "float64"); // [B, V]
    const scaled = add("RealDiv", [add("Sub", [top, column(top, 0)]), temperature]);
    const all = add("Exp", [scaled]); // weights: probabilities times a constant
    const kth = tracer.nameOf(tf.add(topK, tf.scalar(-1, "int32")));
    const types = { Tparams: DOUBLE, Tindices: INT, Taxis: INT };
    const least = graph.add("GatherV2", [all, kth, graph.constant([1], [], "int32")], types); // [B, 1]
    const weights = add("SelectV2", [add("GreaterEqual", [all, least]), all, number(0)]); // [B, V]

    // The nucleus ends with the first token that brings the mass above topP of the total.
    const reached = add("Cumsum", [weights, graph.constant([1], [], "int32")], { Tidx: INT }); // [B, V]
    const total = column(reached, V - 1);
    const beyond = add("Greater", [reached, add("Mul", [topP, total])]);
    const mass = add("Min", [add("SelectV2", [beyond, reached, total]), ints(1)], along); // [B, 1]

    const row = tf.reshape(tf.gather(draws, step), [B, 1]);
    const uniforms = add("Mul", [add("AddV2", [double(row), number(2 ** 31)]), number(2 ** -32)]);
    const passed = add("LessEqual", [reached, add("Mul", [uniforms, mass])]); // tokens before the one that is drawn
    const count = tf.sum(tracer.tensor(graph.cast(passed, "bool", "float32"), [B, V], "float32"), 1); // [B]
    const ids = tracer.tensor<tf.Rank.R2>(`${sorted}:1`, [B, V], "int32");
    const id = tf.gather(ids, tf.reshape(tf.cast(count, "int32"), [B, 1]), 1, 1); // [B, 1]
    return tf.concat<Tensor2D>([tf.cast(id, "float32"), tf.sum(logits, -1, true)], -1); // [B, 2]
  };
}

/** Float32 numbers whose sum is a float64 number: inputs cannot be float64. */
const PARTS = 3;

function inParts(value: number): number[] {
  const parts: number[] = [];
  for (let rest = value; parts.length < PARTS; rest -= parts.at(-1)!) parts.push(Math.fround(rest));
  return parts;
}

/**
 * Values of the inputs that `samplingInGraph` declares.
 *
 * @param position the first that the block decides
 */
export function samplingInputs(
  scope: string,
  { temperature, topP, topK, seed }: SamplingOptions,
  { position, steps, B, V }: Readonly<Record<"position" | "steps" | "B" | "V", number>>,
): InputValues {
  const draws = Int32Array.from(
    { length: steps * B },
    (_, i) => uniform(seed, i % B, position + Math.floor(i / B)) * 2 ** 32 - 2 ** 31,
  );
  const settings = Float32Array.from([...inParts(temperature), ...inParts(topP)]);
  return {
    [`${scope}/draws`]: { values: draws, shape: [steps, B] },
    [`${scope}/settings`]: { values: settings, shape: [2, PARTS] },
    [`${scope}/topK`]: { values: Int32Array.of(Math.min(topK ?? V, V)), shape: [1] },
  };
}
