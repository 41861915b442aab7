import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { SamplingOptions } from "../generation/sampling.js";
import type { ModelConfig } from "../model/config.js";
import type { Llama } from "../model/llama.js";
import type { RotaryEmbedding } from "../model/rotary-embedding.js";
import type { TracedCache } from "./graph-cache.js";
import { addCompiled, addLoop, removeInner } from "./graph-function.js";
import { samplingInputs } from "./sample-in-graph.js";
import type { InputValues } from "./session.js";
import type { Tracer } from "./tracer.js";

/** The most decode steps that one call computes. */
export const LONGEST_BLOCK = 32;

/** Stop tokens that a block knows; with more, it may compute steps that are not used. */
const STOP_IDS = 16;

/** Chooses the next tokens of a step inside the graph: from logits, [B, V], to ids and sums of the logits, [B, 2]. */
export type Choose = (logits: Tensor2D, step: Tensor1D) => Tensor2D;

/** A traced decode block. */
export interface DecodeBlock {
  /** The names of its nodes begin with `scope/`. */
  readonly scope: string;
  /** The node of the result, [LONGEST_BLOCK, 2B], for each step and sequence: the next id and the sum of the logits. */
  readonly output: string;
}

/** The state of a generation before a block. */
export interface BlockStart {
  /** Position of the tokens `ids`; those chosen by the first step come after it. */
  readonly position: number;
  /** The last token of each sequence, whose keys and values are not in the cache yet. */
  readonly ids: readonly number[];
  /** Steps for each sequence, at most `LONGEST_BLOCK`; 0 or less if it has ended. */
  readonly steps: readonly number[];
  readonly stopIds: ReadonlySet<number>;
  /** Undefined for greedy decoding. */
  readonly sampling?: SamplingOptions | undefined;
}

/**
 * Traces a decode block: several decode steps in one call. Graph mode makes a step one call into TensorFlow; a block goes
 * on from there and makes it a loop inside that call, TensorFlow's While. Each iteration is one decode step of the model,
 * whose input is the tokens that the iteration before chose; they need not go to the host and back.
 *
 * A sequence ends inside the block after a stop token or its last step; then its last token is its input again, as in the
 * loop of src/generation/steps.ts. The loop ends when all sequences have.
 *
 * @param cacheAt  the cache of a step that computes some positions, see `traceCache`
 * @param compiled has XLA compile the block, loop and all; the time that this takes does not depend on the steps
 */
export function traceDecodeBlock(
  tracer: Tracer,
  model: Llama,
  { scope, B }: { readonly scope: string; readonly B: number },
  cacheAt: (positions: Tensor1D) => TracedCache,
  choose: Choose,
  compiled: boolean,
): DecodeBlock {
  const { graph } = tracer;
  const { headDim: D } = model.config;
  const start = tracer.input<tf.Rank.R1>("position", [1], "int32");
  const stopIds = tracer.input<tf.Rank.R1>("stopIds", [STOP_IDS], "int32");
  const rotations = tracer.input<tf.Rank.R2>("rotations", [LONGEST_BLOCK, 2 * D], "float32");

  // The variables of the loop, as they are in an iteration.
  const step = tracer.input<tf.Rank.R1>("step", [1], "int32"); // from 0
  const ids = tracer.input<tf.Rank.R1>("loop/ids", [B], "int32");
  const left = tracer.input<tf.Rank.R1>("loop/steps", [B], "int32"); // steps that each sequence still needs
  const result = tracer.input<tf.Rank.R2>("result", [LONGEST_BLOCK, 2 * B], "float32");

  const positions = tf.add<Tensor1D>(start, step); // [1]
  const rotation = tf.gather(rotations, step); // [1, 2D]
  const [cos, sin] = [tf.slice(rotation, [0, 0], [1, D]), tf.slice(rotation, [0, D], [1, D])];
  const { layers, mask } = cacheAt(positions);
  const inputs = { ids, positions: { T: 1, rotation: { cos, sin }, mask }, last: undefined };
  const choice = choose(model.logits(inputs, layers), step); // [B, 2]

  const [id, sum] = [tf.slice(choice, [0, 0], [B, 1]), tf.slice(choice, [0, 1], [B, 1])];
  const running = tf.greater(left, tf.scalar(0, "int32")); // [B]
  const next = tf.where(running, tf.reshape(tf.cast(id, "int32"), [B]), ids); // the last token again after the end
  const nextId = tf.reshape(next, [B, 1]);
  const stops = tf.any(tf.equal(nextId, tf.reshape(stopIds, [1, -1])), 1); // [B]
  const nextLeft = tf.where(stops, tf.zeros([B], "int32"), tf.add(left, tf.scalar(-1, "int32")));
  const row = tf.reshape(tf.concat([tf.cast(nextId, "float32"), sum], 1), [1, 2 * B]);

  const value = (tensor: tf.Tensor): string => tracer.nameOf(tensor);
  const variables = [
    { first: tf.zeros([1], "int32"), now: step, next: tf.add(step, tf.scalar(1, "int32")) },
    { first: tracer.input("ids", [B], "int32"), now: ids, next },
    { first: tracer.input("steps", [B], "int32"), now: left, next: nextLeft },
    // A step that was not computed is NaN, which never passes for a result.
    {
      first: tf.tensor2d(new Float32Array(result.size).fill(NaN), result.shape),
      now: result,
      next: tf.tensorScatterUpdate(result, tf.reshape(step, [1, 1]), row),
    },
  ].map((variable) => ({
    first: value(variable.first),
    now: value(variable.now),
    next: value(variable.next),
  }));
  let output = addLoop(graph, scope, variables, value(tf.any(running))).at(-1)!;
  if (compiled) [output] = addCompiled(graph, `${scope}/compiled`, [output]) as [string];
  removeInner(graph, scope, [output]);
  return { scope, output };
}

/** Values of a block's inputs. */
export function blockInputs(
  { scope }: DecodeBlock,
  { position, ids, steps, stopIds, sampling }: BlockStart,
  { vocabSize: V }: ModelConfig,
  rotaryEmbedding: RotaryEmbedding,
): InputValues {
  const B = ids.length;
  const count = Math.max(...steps);
  const { cos, sin, shape } = rotaryEmbedding.rows(position, position + count);
  const [, D] = shape;
  const rotations = new Float32Array(LONGEST_BLOCK * 2 * D);
  for (let step = 0; step < count; step++) {
    rotations.set(cos.subarray(step * D, (step + 1) * D), 2 * step * D);
    rotations.set(sin.subarray(step * D, (step + 1) * D), (2 * step + 1) * D);
  }
  const stops = new Int32Array(STOP_IDS).fill(-1); // no token
  stops.set([...stopIds].slice(0, STOP_IDS));
  const sizes = { position: position + 1, steps: LONGEST_BLOCK, B, V };
  return {
    ...(sampling && samplingInputs(scope, sampling, sizes)),
    [`${scope}/position`]: { values: Int32Array.of(position), shape: [1] },
    [`${scope}/ids`]: { values: Int32Array.from(ids), shape: [B] },
    [`${scope}/steps`]: { values: Int32Array.from(steps), shape: [B] },
    [`${scope}/stopIds`]: { values: stops, shape: [STOP_IDS] },
    [`${scope}/rotations`]: { values: rotations, shape: [LONGEST_BLOCK, 2 * D] },
  };
}
