import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { Session } from "./session.js";
import type { ModelConfig } from "../model/config.js";
import type { Probe } from "../model/probe.js";
import type { RotaryEmbedding } from "../model/rotary-embedding.js";
import { feeds } from "./inputs.js";
import { probeNode, type GraphCall, type Result } from "./trace-model.js";
import { wanted } from "./captured.js";

/** One run of a recorded call. */
export interface CallRun {
  readonly session: Session;
  readonly call: GraphCall;
  /** What is wanted of it. */
  readonly result: Result;
  /** B rows of at most call.T token ids. */
  readonly tokens: readonly (readonly number[])[];
  /** The position of the first. */
  readonly start: number;
  /** Whether these are the last tokens fed: of pieces before, nobody is shown the scores. */
  readonly last: boolean;
  readonly probe: Probe | undefined;
  readonly config: ModelConfig;
  readonly rotaryEmbedding: RotaryEmbedding;
}

/** Runs a call, shows a probe what it wants to see, and returns the result; the caller disposes it. */
export function runCall(run: CallRun): Tensor2D {
  const { session, call, result, tokens, start, last, probe, config, rotaryEmbedding } = run;
  const { scope, T, seen } = call;
  const fed = tokens[0]!.length;
  const asked = seen.filter(({ name }) => probe && (last || !["norm", "logits"].includes(name)));
  const results = probe ? call.plain : call.results; // a compiled call shows nothing of its inside
  const nodes = asked.map(({ name, layer }) => name === "logits" ? results.logits : probeNode(scope, name, layer)); // prettier-ignore
  const [out, ...tensors] = session.run(feeds(call, tokens, start, rotaryEmbedding), [
    results[result],
    ...nodes,
  ]);
  try {
    for (const [i, { name, layer }] of asked.entries()) {
      tf.tidy(() => probe!(name, layer, wanted(tensors[i]!, name, T, fed, start + fed, config)));
    }
  } catch (error) {
    out!.dispose(); // it was the probe's
    throw error;
  } finally {
    tf.dispose(tensors);
  }
  return out as Tensor2D;
}
