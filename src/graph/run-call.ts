import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { Probe, ProbeName } from "../model/probe.js";
import type { RotaryEmbedding } from "../model/rotary-embedding.js";
import { inputValues } from "./inputs.js";
import type { Session } from "./session.js";
import { activationNode, type Output, type TracedCall } from "./trace-model.js";

/** One run of a traced call. */
interface CallRun {
  readonly session: Session;
  readonly call: TracedCall;
  readonly output: Output;
  /** B sequences of at most call.T token ids. */
  readonly tokens: readonly (readonly number[])[];
  /** Position of the first. */
  readonly start: number;
  /** True for the last chunk; of the others, a probe receives neither the final norm nor the logits. */
  readonly last: boolean;
  readonly probe: Probe | undefined;
  readonly rotaryEmbedding: RotaryEmbedding;
}

/** Runs a traced call in one call into TensorFlow, and passes activations to a probe; the caller disposes the output. */
export function runCall(run: CallRun): Tensor2D {
  const { session, call, output, tokens, start, last, probe, rotaryEmbedding } = run;
  const outputs = probe ? call.outputs : call.compiledOutputs; // a compiled call has no activations to fetch
  const captured = call.activations.filter(
    ({ name }) => probe && (last || (name !== "norm" && name !== "logits")),
  );
  const [out, ...activations] = session.run(inputValues(call, tokens, start, rotaryEmbedding), [
    outputs[output],
    ...captured.map((activation) => activationNode(call.scope, activation)),
  ]);
  try {
    const T = tokens[0]!.length;
    for (const [i, { name, layer }] of captured.entries())
      tf.tidy(() => probe!(name, layer, withoutPadding(activations[i]!, name, call.T, T, start + T)));
  } catch (error) {
    out!.dispose(); // the probe's error
    throw error;
  } finally {
    tf.dispose(activations);
  }
  return out as Tensor2D;
}

/**
 * Cuts an activation to what an eager call has: the T positions without the padding, and of the cache only the S
 * positions that it holds.
 *
 * @param padded positions that the traced call computes, T or more
 */
function withoutPadding(tensor: Tensor, name: ProbeName, padded: number, T: number, S: number): Tensor {
  const [rows, columns, width] = tensor.shape as [number, number, number];
  switch (name) {
    case "norm":
    case "logits":
      return tensor;
    case "attention.query":
    case "attention.key":
    case "attention.value":
      return tf.slice(tensor, [0, 0, 0], [rows, T, width]); // [B*K, T, D], or B*H
    case "attention.weights": {
      const group = columns / padded; // H/K
      const byHead = tf.reshape(tensor, [rows, group, padded, width]);
      return tf.reshape(tf.slice(byHead, [0, 0, 0, 0], [rows, group, T, S]), [rows, group * T, S]); // [B*K, H/K*T, S]
    }
    default: {
      const B = rows / padded;
      const bySequence = tf.reshape(tensor, [B, padded, columns]);
      return tf.reshape(tf.slice(bySequence, [0, 0, 0], [B, T, columns]), [B * T, columns]); // [B*T, C]
    }
  }
}
