import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { Llama } from "../model/llama.js";
import { causalMask } from "../model/positions.js";
import { type DecodeBlock, LONGEST_BLOCK, traceDecodeBlock } from "./decode-block.js";
import type { CacheSizes } from "./graph-cache.js";
import type { CallSize } from "./call-sizes.js";
import { addCompiled, removeInner } from "./graph-function.js";
import { declareInputs, declarePositions } from "./inputs.js";
import { samplingInGraph } from "./sample-in-graph.js";
import { trace } from "./trace.js";
import { traceCache } from "./trace-cache.js";
import { Tracer, type WeightType } from "./tracer.js";

/** Options of `traceModel`. */
export interface TraceOptions {
  /** Dtype of the weight matrices. */
  readonly weightType?: WeightType | undefined;
  /** Stores matrices that multiply the same input beside each other, see `JointMatrices`; the graph then has copies. */
  readonly joint: boolean;
  /** Returns true if XLA compiles the calls that compute T positions of each sequence. */
  readonly compiled: (T: number) => boolean;
}

/** A model's calls in one TensorFlow graph. */
export interface TracedModel {
  readonly tracer: Tracer;
  readonly sizes: readonly CallSize[];
  readonly calls: readonly TracedCall[];
  /** Several decode steps in one call. */
  readonly blocks: readonly (CallSize & DecodeBlock)[];
}

/** A forward pass of fixed shapes. */
export interface TracedCall extends CallSize {
  /** The names of its nodes begin with `scope/`. */
  readonly scope: string;
  /** The nodes that hold the outputs. */
  readonly outputs: Readonly<Record<Output, string>>;
}

/** Outputs of a call, of which a run computes one: the logits, [B, V], or `greedyArgMax` of them, [B, 2]. */
export type Output = "logits" | "argMax";

/**
 * Traces a model for B sequences of up to L positions, once per size. With the cache, the sizes are powers of two, so
 * any prompt can be split into chunks. Without it, they are a few lengths that a prefix is padded to; causal attention
 * never looks at the padding behind it.
 *
 * @param sizes     of the calls; only these can run. Each costs time, here and in TensorFlow
 */
export function traceModel(
  model: Llama,
  cacheSizes: CacheSizes,
  sizes: readonly CallSize[],
  { weightType, joint, compiled }: TraceOptions,
): TracedModel {
  const { config, kind, B, L } = cacheSizes;
  const tracer = new Tracer(weightType, joint ? model.matricesOfOneInput : []);
  const cacheAt = traceCache(tracer, cacheSizes);
  const calls: TracedCall[] = [];
  const bucket = (S: number) => (kind.type === "plain" && S < L ? `.${S}` : ""); // of calls that read a part
  const traceCall = ({ T, S, useCache }: CallSize): void => {
    const { graph } = tracer;
    const scope = useCache ? `cached.${T}${bucket(S)}` : `uncached.${T}`;
    graph.scope = scope;
    const positions = declarePositions(tracer, T);
    const cache = useCache ? cacheAt(positions, S) : undefined;
    const mask = cache?.mask ?? causalMask(positions, T, config.slidingWindow);
    const logits = model.logits(declareInputs(tracer, { B, T, D: config.headDim }, mask), cache?.layers);
    let nodes = [logits, greedyArgMax(logits)].map((tensor) => tracer.nameOf(tensor));
    if (compiled(T)) {
      nodes = addCompiled(graph, `${scope}/compiled`, nodes);
      removeInner(graph, scope, nodes);
    }
    const [outputLogits, argMax] = nodes as [string, string];
    calls.push({ scope, T, S, useCache, outputs: { logits: outputLogits, argMax } });
  };
  const blocks: (CallSize & DecodeBlock)[] = [];
  const traceBlock = (size: CallSize): void => {
    const { block, S } = size;
    const scope = `block.${block}${bucket(S)}`;
    tracer.graph.scope = scope;
    const choose = block === "greedy" ? greedyArgMax : samplingInGraph(tracer, B, LONGEST_BLOCK);
    const stepCache = (positions: Tensor1D) => cacheAt(positions, S);
    blocks.push({
      ...size,
      ...traceDecodeBlock(tracer, model, { scope, B }, stepCache, choose, compiled(1)),
    });
  };
  trace(tracer, () => {
    for (const size of sizes) {
      if (size.block) traceBlock(size);
      else traceCall(size);
    }
  });
  return { tracer, sizes, calls, blocks };
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
