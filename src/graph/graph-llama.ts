import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { StepOptions } from "../generation/options.js";
import type { Step, SteppingModel } from "../generation/steps.js";
import { checkCapacity, checkNotDisposed, checkTokens } from "../model/check-input.js";
import type { ModelConfig } from "../model/config.js";
import type { CacheKind } from "../model/generation-cache.js";
import type { Llama } from "../model/llama.js";
import type { Probe } from "../model/probe.js";
import { RotaryEmbedding } from "../model/rotary-embedding.js";
import { InputError } from "../util/errors.js";
import { blockSize, type CallSize, chunkSizes, isSame, LONGEST_CHUNK, paddedSize } from "./call-sizes.js";
import { blockInputs, type BlockStart } from "./decode-block.js";
import { GraphCache } from "./graph-cache.js";
import { GraphCalls, type GraphOptions, type NeededSizes } from "./graph-calls.js";
import { graphSteps } from "./graph-steps.js";
import { inputValues } from "./inputs.js";
import { slidingCapacity } from "./sliding-graph-cache.js";
import { PLAIN, placesOf } from "./trace-cache.js";
import type { Output } from "./trace-model.js";

/**
 * A Llama in graph mode: its own code runs once, on a backend that computes nothing and writes each operation into a
 * TensorFlow graph. From then on a forward pass is one call into TensorFlow, where eager execution needs hundreds.
 *
 * To read on, in this order: graph-calls.ts with call-sizes.ts (when the model is traced, and for which calls);
 * trace-model.ts (what is traced) with inputs.ts, graph-cache.ts and trace-cache.ts; graph-steps.ts, decode-block.ts and
 * block-decoder.ts (a generation, several decode steps in one call); tracer.ts and kernels.ts (how operations become
 * nodes); graph.ts, graph-function.ts (XLA, loops) and saved-model.ts (the graph and its file); session.ts (the graph
 * inside TensorFlow).
 *
 * The graph takes over the weights when it is first traced. On a GPU, as bfloat16, or if they were read for graph mode (see
 * `ReadOptions`), the `Llama` then has none and must not be used any more.
 */
export class GraphLlama implements SteppingModel {
  readonly config: ModelConfig;
  readonly longestChunk = LONGEST_CHUNK;
  /** True if the calls are made for a GPU, see `GraphOptions.device`. */
  readonly isForGpu: boolean;
  private readonly rotaryEmbedding: RotaryEmbedding;
  private readonly graph: GraphCalls;
  private cache: GraphCache | undefined;

  /**
   * @param model belongs to the new model, which disposes it
   * @throws InputError where the backend is not TensorFlow, for XLA with bfloat16 weights on a CPU, or if `smallestBucket`
   *         is out of range
   */
  constructor(
    private readonly model: Llama,
    options: GraphOptions = {},
  ) {
    this.graph = new GraphCalls(model, options);
    this.isForGpu = this.graph.isForGpu;
    this.config = model.config;
    this.rotaryEmbedding = new RotaryEmbedding(model.config);
  }

  /**
   * Traces the model for a batch size, a capacity, a kind of cache and some calls, unless the graph that it has serves
   * them. `createCache` and `forward` do this as well; call it to trace once, with the calls of the longest generation.
   *
   * A graph has only calls that were asked for, because each takes time to trace and to load. Another call is traced when
   * it is first needed; weights and KV cache are copied to the new graph, on a GPU group by group so that weights are there once.
   *
   * @param sizes returns the calls; by default those with the cache, for any prompt within the smallest bucket
   * @returns     these calls
   * @throws InputError for a quantized cache, after `dispose`, when the capacity exceeds the model's context, or a cache of
   *         other sizes is in use
   */
  prepare(batchSize: number, capacity: number, kind = this.kind, sizes?: NeededSizes): readonly CallSize[] {
    try {
      return this.graph.prepare(batchSize, capacity, kind, this.cache !== undefined, sizes);
    } finally {
      if (!this.graph.loaded) this.cache = undefined;
    }
  }

  /** The kind of cache that the graph has. */
  private get kind(): CacheKind {
    return this.graph.loaded?.kind ?? PLAIN;
  }

  /** The same steps as an eager model's; see `graphSteps`. */
  steps(prompts: readonly (readonly number[])[], options: StepOptions): AsyncGenerator<Step, void, void> {
    return graphSteps(this, prompts, options);
  }

  /**
   * Clears the graph's KV cache for a new generation.
   *
   * @param sizes the calls of the generation, see `prepare`
   * @throws InputError when another generation uses it, for a quantized cache, or when the capacity exceeds the model's
   *         context
   */
  createCache(batchSize: number, capacity: number, kind = PLAIN, sizes?: NeededSizes): GraphCache {
    if (this.cache) {
      throw new InputError("the KV cache is in use: a graph-mode model supports one generation at a time");
    }
    this.prepare(batchSize, capacity, kind, sizes);
    const loaded = this.graph.loaded!;
    loaded.session.clear();
    const positions = kind.type === "sliding" ? slidingCapacity(loaded, capacity) : capacity;
    const cache = new GraphCache(batchSize, positions, kind.prefillChunk, placesOf(loaded), () => {
      if (this.cache === cache) this.cache = undefined;
    });
    this.cache = cache;
    return cache;
  }

  /**
   * Computes the next token's logits, [B, V], as `Llama.forward`. With a cache, the tokens are computed in chunks. For
   * another batch size, the model is traced again, which takes about a second.
   *
   * @throws InputError for a probe: activations stay inside the graph
   */
  forward(tokens: readonly (readonly number[])[], cache?: GraphCache, probe?: Probe): Tensor2D {
    if (probe) throw new InputError("a probe must be used with eager execution, got graph mode");
    return this.run("logits", tokens, cache);
  }

  /** Like `forward`, but returns each sequence's argmax and the sum of its logits, [B, 2]. */
  forwardGreedy(tokens: readonly (readonly number[])[], cache?: GraphCache): Tensor2D {
    return this.run("argMax", tokens, cache);
  }

  /** Several decode steps in one call; see `DecodeBlock` for the result. */
  decodeBlock(start: BlockStart): Float32Array {
    const kind = start.sampling ? "sampled" : "greedy";
    const end = start.position + Math.max(...start.steps);
    const { L } = this.graph.loaded!;
    const [size] = this.prepare(start.ids.length, L, undefined, (use) => [blockSize(kind, end, use)]);
    const block = this.graph.loaded!.blocks.find((one) => isSame(one, size!))!;
    const result = this.graph.compute(
      blockInputs(block, start, this.config, this.rotaryEmbedding),
      block.output,
      1,
    );
    const values = result.dataSync<"float32">();
    result.dispose();
    return values;
  }

  /** Checks the input of a forward pass as `Llama.forward` does. @returns B and T */
  checkInput(tokens: readonly (readonly number[])[], cache?: GraphCache): [B: number, T: number] {
    checkNotDisposed(this.model);
    const [B, T] = checkTokens(tokens, cache, this.config);
    if (cache && cache !== this.cache) {
      throw new InputError("the cache must be this model's and not disposed");
    }
    if (cache) checkCapacity(cache, T);
    return [B, T];
  }

  private run(output: Output, tokens: readonly (readonly number[])[], cache?: GraphCache): Tensor2D {
    const prevPos = cache?.length ?? 0;
    const [B, T] = this.checkInput(tokens, cache);
    const needed: NeededSizes = (use) =>
      cache ? chunkSizes(prevPos, T, { ...use, prefillChunk: cache.prefillChunk }) : [paddedSize(T, use.L)];
    const most = cache ? this.graph.loaded!.L : Infinity; // a ring goes beyond it
    const sizes = this.prepare(B, Math.min(prevPos + T, most), undefined, needed);
    const { calls } = this.graph.loaded!;
    try {
      let [start, result]: [number, Tensor | undefined] = [0, undefined];
      for (const size of sizes) {
        result?.dispose();
        const call = calls.find((one) => isSame(one, size))!;
        const chunk = tokens.map((ids) => ids.slice(start, start + call.T));
        const inputs = inputValues(call, chunk, prevPos + start, this.rotaryEmbedding);
        const ofCache = cache?.inputs(call.scope, prevPos + start, call.T);
        result = this.graph.compute({ ...inputs, ...ofCache }, call.outputs[output], call.T);
        start += call.T;
      }
      cache?.grow(T);
      return result as Tensor2D;
    } catch (error) {
      cache?.truncate(prevPos); // places that the failed call has taken
      throw error;
    }
  }

  /** Names of the operations of a decode step with the cache, before TensorFlow or XLA optimises the graph. */
  operations(): string[] {
    return this.graph.operations();
  }

  /** Frees the graph with its variables, and the model. */
  dispose(): void {
    this.cache = undefined;
    this.graph.dispose();
  }
}
