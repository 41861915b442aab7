import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { Llama } from "../model/llama.js";
import { causalMask } from "../model/positions.js";
import { traceDecodeBlock, type DecodeBlock } from "./decode-block.js";
import type { CacheSizes } from "./graph-cache.js";
import { addCompiled } from "./graph-function.js";
import { declareInputs, declarePositions } from "./inputs.js";
import { trace } from "./trace.js";
import { traceCache } from "./trace-cache.js";
import { Tracer, type WeightType } from "./tracer.js";

/** The longest chunk of a prompt that one call computes. */
export const LONGEST_CHUNK = 512;

/** Number of lengths to which prefixes are padded without a cache. */
const BUCKETS = 8;

/** A model's calls in one TensorFlow graph. */
export interface TracedModel {
  readonly tracer: Tracer;
  /** Longest first. */
  readonly calls: readonly TracedCall[];
  /** Several greedy decode steps in one call; undefined unless the cache is plain. */
  readonly greedyBlock: DecodeBlock | undefined;
}

/** A forward pass of fixed shapes. */
export interface TracedCall {
  /** The names of its nodes begin with `scope/`. */
  readonly scope: string;
  /** Positions computed for each sequence, padding included. */
  readonly T: number;
  readonly useCache: boolean;
  /** The nodes that hold the outputs. */
  readonly outputs: Readonly<Record<Output, string>>;
}

/** Outputs of a call, of which a run computes one: the logits, [B, V], or `greedyArgMax` of them, [B, 2]. */
export type Output = "logits" | "argMax";

/**
 * Traces a model for B sequences of up to L positions, once per number of positions T that a call may compute. With the
 * cache, these are the powers of two, so any prompt can be split into chunks. Without it, they are a few lengths that a
 * prefix is padded to; causal attention never looks at the padding behind it.
 *
 * @param compiled returns true if XLA compiles the calls that compute T positions of each sequence
 */
export function traceModel(
  model: Llama,
  sizes: CacheSizes,
  weightType: WeightType | undefined,
  compiled: (T: number) => boolean,
): TracedModel {
  const { config, kind, B, L } = sizes;
  const tracer = new Tracer(weightType);
  const cacheAt = traceCache(tracer, sizes);
  const calls: TracedCall[] = [];
  const traceCall = (T: number, useCache: boolean): void => {
    const { graph } = tracer;
    const scope = `${useCache ? "cached" : "uncached"}.${T}`;
    graph.scope = scope;
    const positions = declarePositions(tracer, T);
    const cache = useCache ? cacheAt(positions) : undefined;
    const mask = cache?.mask ?? causalMask(positions, T, config.slidingWindow);
    const logits = model.logits(declareInputs(tracer, { B, T, D: config.headDim }, mask), cache?.layers);
    let nodes = [logits, greedyArgMax(logits)].map((tensor) => tracer.nameOf(tensor));
    if (compiled(T)) nodes = addCompiled(graph, `${scope}/compiled`, nodes);
    const [outputLogits, argMax] = nodes as [string, string];
    calls.push({ scope, T, useCache, outputs: { logits: outputLogits, argMax } });
  };
  const greedyBlock = trace(tracer, () => {
    for (let T = 1; T <= Math.min(kind.prefillChunk, LONGEST_CHUNK, L); T *= 2) traceCall(T, true);
    const longest = Math.min(L, config.maxSeqLen); // a sliding window goes beyond the context, but only with the cache
    const stride = Math.ceil(longest / BUCKETS);
    for (let T = stride; T < longest + stride; T += stride) traceCall(T, false);
    // The places of other caches are found by the host, before each step.
    if (kind.type !== "plain") return undefined;
    return traceDecodeBlock(tracer, model, { scope: "block.greedy", B }, cacheAt, greedyArgMax, compiled(1));
  });
  calls.sort((a, b) => b.T - a.T);
  return { tracer, calls, greedyBlock };
}

/**
 * The argmax of each sequence's logits, the first of equals, and their sum, which is not finite if one of them is not.
 * Greedy decoding needs no more, so a step copies 2·B numbers to the host instead of V·B: 128 bytes instead of 8 MB at
 * batch 16 and 128,256 tokens.
 *
 * @param logits [B, V]
 * @returns      [B, 2], float32, which holds token ids exactly up to 2^24
 */
function greedyArgMax(logits: Tensor2D): Tensor2D {
  const V = logits.shape[1];
  const best = tf.max(logits, -1, true); // [B, 1]
  const penalty = tf.mul(tf.cast(tf.less(logits, best), "float32"), V); // [B, V]
  const id = tf.min(tf.add(penalty, tf.range(0, V)), -1, true); // [B, 1]: all others are V or more
  return tf.concat([id, tf.sum(logits, -1, true)], -1) as Tensor2D; // [B, 2]
}
