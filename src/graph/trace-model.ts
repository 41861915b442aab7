import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { CacheKind } from "../model/generation-cache.js";
import type { Llama } from "../model/llama.js";
import { causalMask } from "../model/positions.js";
import { type DecodeBlock, LONGEST_BLOCK, traceDecodeBlock } from "./decode-block.js";
import type { CacheSizes } from "./graph-cache.js";
import { addCompiled } from "./graph-function.js";
import { declareInputs, declarePositions } from "./inputs.js";
import { samplingInGraph } from "./sample-in-graph.js";
import { trace } from "./trace.js";
import { traceCache } from "./trace-cache.js";
import { Tracer, type WeightType } from "./tracer.js";

/** The longest chunk of a prompt that one call computes. */
export const LONGEST_CHUNK = 512;

/** Number of lengths to which prefixes are padded without a cache. */
const BUCKETS = 8;

/** A decode block by how it chooses tokens. */
export type BlockKind = "greedy" | "sampled";

/** The sizes of a call. */
export interface CallSize {
  /** Positions computed for each sequence, padding included; in a decode block, by each step. */
  readonly T: number;
  readonly useCache: boolean;
  /** Only for a decode block. */
  readonly block?: BlockKind | undefined;
}

/** True if two calls have the same sizes. */
export const isSame = (a: CallSize, b: CallSize): boolean =>
  a.T === b.T && a.useCache === b.useCache && a.block === b.block;

/** A decode block; the plain cache only has them, as the places of other caches are found by the host, before each step. */
export const blockSize = (block: BlockKind): CallSize => ({ T: 1, useCache: true, block });

/** The calls of any generation with the cache: chunks that each number of positions can be split into, and decode blocks. */
export function allCachedSizes(L: number, { type, prefillChunk }: CacheKind): CallSize[] {
  const longest = Math.min(prefillChunk, LONGEST_CHUNK, L);
  const chunks = Array.from({ length: 1 + Math.floor(Math.log2(longest)) }, (_, i) => ({
    T: 2 ** i,
    useCache: true,
  }));
  return type === "plain" ? [...chunks, blockSize("greedy"), blockSize("sampled")] : chunks;
}

/** The calls that compute T positions with the cache: chunks whose lengths are powers of two, longest first. */
export function chunkSizes(T: number, prefillChunk: number): CallSize[] {
  const sizes: CallSize[] = [];
  for (let left = T; left > 0; left -= sizes.at(-1)!.T) {
    const longest = Math.min(left, prefillChunk, LONGEST_CHUNK);
    sizes.push({ T: 2 ** Math.floor(Math.log2(longest)), useCache: true });
  }
  return sizes;
}

/** The call that computes a prefix without the cache, padded to one of a few lengths up to L. */
export function paddedSize(prefix: number, L: number): CallSize {
  const stride = Math.ceil(L / BUCKETS);
  return { T: stride * Math.ceil(prefix / stride), useCache: false };
}

/**
 * The calls of a generation.
 *
 * @param lengths positions that its first and its last step see
 * @param L       capacity of the graph
 * @param block   undefined for single decode steps
 */
export function generationSizes(
  [first, last]: readonly [number, number],
  L: number,
  prefillChunk: number,
  { useCache, block }: Omit<CallSize, "T">,
): CallSize[] {
  if (useCache) return [...chunkSizes(first, prefillChunk), { T: 1, useCache, block }];
  const sizes = [paddedSize(first, L)];
  while (sizes.at(-1)!.T < last) sizes.push(paddedSize(sizes.at(-1)!.T + 1, L)); // one per length that prefixes are padded to
  return sizes;
}

/** A model's calls in one TensorFlow graph. */
export interface TracedModel {
  readonly tracer: Tracer;
  readonly sizes: readonly CallSize[];
  readonly calls: readonly TracedCall[];
  /** Several decode steps in one call, by how they choose tokens. */
  readonly blocks: ReadonlyMap<BlockKind, DecodeBlock>;
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
 * @param compiled  returns true if XLA compiles the calls that compute T positions of each sequence
 */
export function traceModel(
  model: Llama,
  cacheSizes: CacheSizes,
  sizes: readonly CallSize[],
  weightType: WeightType | undefined,
  compiled: (T: number) => boolean,
): TracedModel {
  const { config, B } = cacheSizes;
  const tracer = new Tracer(weightType);
  const cacheAt = traceCache(tracer, cacheSizes);
  const calls: TracedCall[] = [];
  const traceCall = ({ T, useCache }: CallSize): void => {
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
  const blocks = new Map<BlockKind, DecodeBlock>();
  const traceBlock = (kind: BlockKind): void => {
    const scope = `block.${kind}`;
    tracer.graph.scope = scope;
    const choose = kind === "greedy" ? greedyArgMax : samplingInGraph(tracer, B, LONGEST_BLOCK);
    blocks.set(kind, traceDecodeBlock(tracer, model, { scope, B }, cacheAt, choose, compiled(1)));
  };
  trace(tracer, () => {
    for (const size of sizes) {
      if (size.block) traceBlock(size.block);
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
