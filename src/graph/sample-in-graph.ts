import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { type SamplingOptions, uniform } from "../generation/sampling.js";
import { float64 } from "./float64.js";
import { addLoop } from "./graph-function.js";
import type { InputValues } from "./session.js";
import type { Tracer } from "./tracer.js";

/**
 * Most likely tokens that each step sorts. Nearly all draws are among them; only for one that may not be, all V tokens are
 * sorted, which takes several times as long.
 */
export const SORTED = 1024;

/** Nodes of the inputs of sampling; float64 except for topK. */
interface Settings {
  /** [1, 1] each */
  readonly temperature: string;
  readonly topP: string;
  /** V for all tokens. */
  readonly topK: Tensor1D;
  /** Uniform random numbers in [0, 1), [B, 1]. */
  readonly draws: string;
}

/**
 * Declares the inputs of sampling and returns the function that samples in the graph, for `traceDecodeBlock`: the same
 * computation as `sampleTopP` of src/generation/sampling.ts, also in float64, so it draws the same tokens from the same
 * logits, up to rounding: float64 sums may be in another order. The uniform random numbers are inputs.
 *
 * @param steps of a block, at most
 */
export function samplingInGraph(tracer: Tracer, B: number, steps: number) {
  const { graph } = tracer;
  const bits = tracer.input<tf.Rank.R2>("draws", [steps, B], "int32"); // draws · 2^32 - 2^31
  const parts = tracer.input<tf.Rank.R2>("settings", [2, PARTS], "float32"); // of temperature and topP
  const topK = tracer.input<tf.Rank.R1>("topK", [1], "int32");

  return (logits: Tensor2D, step: Tensor1D): Tensor2D => {
    const V = logits.shape[1];
    const { number, add, mul, sum } = float64(graph);
    const double = (x: Tensor2D) => graph.cast(tracer.nameOf(x), x.dtype as "int32", "float64");
    const [temperature, topP] = [0, 1].map((row) => sum(double(tf.slice(parts, [row, 0], [1, PARTS]))));
    const now = tf.reshape<tf.Rank.R2>(tf.gather(bits, step), [B, 1]);
    const draws = mul(add(double(now), number(2 ** 31)), number(2 ** -32));
    const settings = { temperature: temperature!, topP: topP!, topK, draws };

    const few = drawFrom(tracer, logits, Math.min(SORTED, V), settings);
    const ids = V > SORTED ? drawFromAll(tracer, logits, few, settings) : few.ids;
    return tf.concat<Tensor2D>([tf.cast(ids, "float32"), tf.sum(logits, -1, true)], -1); // [B, 2]
  };
}

/** Tokens drawn from some of the most likely ones. */
interface Drawn {
  /** [B, 1] */
  readonly ids: Tensor2D;
  /** Node of a bool: true if a sequence's draw depends on more tokens. */
  readonly undecided: string;
}

/** Draws each sequence's token from its `count` most likely tokens. */
function drawFrom(tracer: Tracer, logits: Tensor2D, count: number, settings: Settings): Drawn {
  const { graph } = tracer;
  const [B, V] = logits.shape;
  const { temperature, topP, topK, draws } = settings;
  const { number, sub, mul, div, exp, where, sum, min, cumsum, column, columnAt, ...is } = float64(graph);
  const all = tracer.nameOf(logits);
  const sorted = graph.add("TopKV2", [all, graph.constant([count], [], "int32")], { T: { type: "float32" } });
  const top = graph.cast(sorted, "float32", "float64"); // [B, count], most likely first
  const weigh = (x: string) => exp(div(sub(x, column(top, 0)), temperature)); // probabilities times a constant
  const topWeights = weigh(top);
  const kth = tf.sub(tf.minimum(topK, tf.scalar(count, "int32")), tf.scalar(1, "int32"));
  const isCut = tracer.nameOf(tf.less(topK, tf.scalar(V, "int32"))); // [1]
  const least = where(isCut, columnAt(topWeights, tracer.nameOf(kth)), number(0)); // [B, 1]
  const kept = (weights: string) => where(is.greaterEqual(weights, least), weights, number(0));
  const total = sum(kept(weigh(graph.cast(all, "float32", "float64")))); // [B, 1]
  const reached = cumsum(kept(topWeights)); // [B, count]

  // The nucleus ends with the first token that brings the mass above topP of the total.
  const most = mul(topP, total); // [B, 1]
  const mass = min(where(is.greater(reached, most), reached, total)); // [B, 1]
  const drawn = mul(draws, mass); // [B, 1]
  const passed = graph.cast(is.lessEqual(reached, drawn), "bool", "float32"); // tokens before the one that is drawn
  const before = tf.sum(tracer.tensor<tf.Rank.R2>(passed, [B, count], "float32"), 1, true); // [B, 1]
  const at = tf.minimum(tf.cast(before, "int32"), tf.scalar(count - 1, "int32"));
  const order = tracer.tensor<tf.Rank.R2>(`${sorted}:1`, [B, count], "int32");
  const ids = tf.gather(order, at, 1, 1) as Tensor2D; // [B, 1]

  const last = column(reached, count - 1);
  const open = graph.add("LogicalAnd", [is.less(topP, number(1)), is.lessEqual(last, most)]); // the nucleus
  const beyond = graph.add("LogicalOr", [is.lessEqual(last, drawn), open]); // [B, 1]
  const cutLater = graph.add("LogicalAnd", [
    isCut,
    tracer.nameOf(tf.greater(topK, tf.scalar(count, "int32"))),
  ]);
  const axes = graph.constant([0, 1], [2], "int32");
  const undecided = graph.add("Any", [graph.add("LogicalOr", [beyond, cutLater]), axes], {
    Tidx: { type: "int32" },
  });
  return { ids, undecided };
}

/** Draws again, from all tokens, if a draw from few is undecided: a loop of one iteration or none. */
function drawFromAll(tracer: Tracer, logits: Tensor2D, few: Drawn, settings: Settings): Tensor2D {
  const { graph } = tracer;
  const [B, V] = logits.shape;
  const now = {
    ids: tracer.input<tf.Rank.R2>("all/ids", [B, 1], "int32"),
    undecided: tracer.input("all/undecided", [], "bool"),
    logits: tracer.input<tf.Rank.R2>("all/logits", [B, V], "float32"),
  };
  const nameOf = (tensor: tf.Tensor) => tracer.nameOf(tensor);
  const { ids } = drawFrom(tracer, now.logits, V, settings);
  const decided = graph.constant([0], [], "bool");
  const variables = [
    { first: nameOf(few.ids), now: nameOf(now.ids), next: nameOf(ids) },
    { first: few.undecided, now: nameOf(now.undecided), next: decided },
    { first: nameOf(logits), now: nameOf(now.logits), next: nameOf(now.logits) },
  ];
  const [drawn] = addLoop(graph, `${graph.scope}/all`, variables, nameOf(now.undecided)) as [string];
  return tracer.tensor(drawn, [B, 1], "int32");
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
