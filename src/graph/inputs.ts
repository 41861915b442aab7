import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { ModelInputs } from "../model/llama.js";
import type { RotaryEmbedding } from "../model/rotary-embedding.js";
import type { InputValues } from "./session.js";
import type { Tracer } from "./tracer.js";

/**
 * Declares the positions that a traced call computes, [T].
 */
export const declarePositions = (tracer: Tracer, T: number): Tensor1D =>
  tracer.input<tf.Rank.R1>("positions", [T], "int32");

/**
 * Declares the other inputs of a traced call: `Llama.forward` makes constants of these, but here each run has others.
 *
 * @param sizes B sequences, T positions computed, head dim D
 * @param mask  [T, S]; also for T = 1: it hides what the cache does not hold yet
 */
export function declareInputs(
  tracer: Tracer,
  { B, T, D }: Readonly<Record<"B" | "T" | "D", number>>,
  mask: Tensor2D,
): ModelInputs {
  const rotation = tracer.input<tf.Rank.R2>("rotation", [2 * T, D], "float32"); // one input is faster than two
  const cos = tf.slice(rotation, [0, 0], [T, D]);
  const sin = tf.slice(rotation, [T, 0], [T, D]);
  const ids = tracer.input<tf.Rank.R1>("ids", [B * T], "int32");
  const last = T > 1 ? tracer.input<tf.Rank.R1>("last", [B], "int32") : undefined;
  return { ids, positions: { T, rotation: { cos, sin }, mask }, last };
}

/**
 * Values of the inputs that `declarePositions` and `declareInputs` declared.
 *
 * @param scope  of the call's nodes
 * @param T      positions that the call computes
 * @param tokens B sequences of at most T token ids; shorter ones are padded at the end, where the causal mask hides it
 * @param start  position of the first
 */
export function inputValues(
  { scope, T }: { readonly scope: string; readonly T: number },
  tokens: readonly (readonly number[])[],
  start: number,
  rotaryEmbedding: RotaryEmbedding,
): InputValues {
  const B = tokens.length;
  const ids = new Int32Array(B * T);
  for (const [b, sequence] of tokens.entries()) ids.set(sequence, b * T);
  const { cos, sin, shape } = rotaryEmbedding.rows(start, start + T);
  const rotation = new Float32Array(2 * cos.length);
  rotation.set(cos);
  rotation.set(sin, cos.length);
  const last = Int32Array.from(tokens, ({ length }, b) => b * T + length - 1);
  return {
    [`${scope}/ids`]: { values: ids, shape: [B * T] },
    [`${scope}/positions`]: { values: Int32Array.from({ length: T }, (_, t) => start + t), shape: [T] },
    [`${scope}/rotation`]: { values: rotation, shape: [2 * T, shape[1]] },
    ...(T > 1 && { [`${scope}/last`]: { values: last, shape: [B] } }),
  };
}
