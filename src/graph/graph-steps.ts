import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { StepOptions } from "../generation/options.js";
import { sampleToken } from "../generation/sampling.js";
import { type Step, steps } from "../generation/steps.js";
import type { CacheKind } from "../model/generation-cache.js";
import type { Model } from "../model/model.js";
import type { Probe } from "../model/probe.js";
import { BlockDecoder } from "./block-decoder.js";
import { generationSizes } from "./call-sizes.js";
import type { BlockStart } from "./decode-block.js";
import type { GraphCache } from "./graph-cache.js";
import type { NeededSizes } from "./graph-calls.js";
import { PLAIN } from "./trace-cache.js";

/** A model in graph mode as its generation loop sees it; see `GraphLlama`. */
interface GraphModel extends Pick<Model, "config" | "longestChunk"> {
  readonly isForGpu: boolean;
  prepare(batchSize: number, capacity: number, kind?: CacheKind, sizes?: NeededSizes): unknown;
  createCache(batchSize: number, capacity: number, kind?: CacheKind, sizes?: NeededSizes): GraphCache;
  checkInput(tokens: readonly (readonly number[])[], cache?: GraphCache): [B: number, T: number];
  forward(tokens: readonly (readonly number[])[], cache?: GraphCache, probe?: Probe): Tensor2D;
  forwardGreedy(tokens: readonly (readonly number[])[], cache?: GraphCache): Tensor2D;
  decodeBlock(start: BlockStart): Float32Array;
}

/**
 * The loop of src/generation/steps.ts with a model in graph mode. The graph is traced once, for the whole generation.
 * Greedy decoding takes the argmax inside the graph, so two numbers per sequence are copied to the host instead of V
 * logits. With the plain cache, decode steps are computed in blocks, and sampling is part of them. Not so with `onLogits`
 * or `sample`, which read each step's logits.
 */
export function graphSteps(
  model: GraphModel,
  prompts: readonly (readonly number[])[],
  options: StepOptions,
): AsyncGenerator<Step, void, void> {
  const { config, longestChunk, isForGpu } = model;
  const { temperature, maxGenLen, probe, onLogits, sample, useCache, cacheKind: kind = PLAIN } = options;
  const readsLogits = Boolean(probe ?? onLogits ?? sample);
  const greedy = temperature === 0 && !readsLogits;
  const inBlocks = useCache && kind.type === "plain" && !readsLogits;
  const block = inBlocks ? (greedy ? "greedy" : "sampled") : undefined;
  const lengths = prompts.map(({ length }) => length);
  const capacity = Math.max(0, ...lengths) + maxGenLen;
  const seen = [Math.min(...lengths), capacity - 1] as const; // by the first step, and by the last
  const sizes: NeededSizes = (use) => generationSizes(seen, use, { useCache, block });
  let chosen = false; // by the last call, which returned tokens instead of logits
  const blocks = new BlockDecoder(prompts, options, isForGpu, (start) => model.decodeBlock(start));
  const inGraph: Model = {
    config,
    longestChunk,
    createCache: (B, needed, own) => model.createCache(B, needed, own, sizes),
    forward: (tokens, cache) => {
      if (!cache) model.prepare(tokens.length, capacity, undefined, sizes);
      const own = cache as GraphCache | undefined;
      chosen = greedy;
      if (block && own?.isInOrder && tokens[0]!.length === 1) {
        model.checkInput(tokens, own);
        chosen = true;
        return blocks.step(tokens, own);
      }
      return greedy ? model.forwardGreedy(tokens, own) : model.forward(tokens, own, probe);
    },
  };
  const choose: typeof sampleToken = (values, ...of) => (chosen ? values[0]! : sampleToken(values, ...of));
  return steps(inGraph, prompts, readsLogits ? options : { ...options, sample: choose });
}
