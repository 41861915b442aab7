import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { Device } from "../backend/backend.js";
import { tensorflowBackend } from "../backend/tensorflow-backend.js";
import { cacheKind } from "../cache/cache-kind.js";
import type { StepOptions } from "../generation/options.js";
import { type Step, type SteppingModel, steps } from "../generation/steps.js";
import { sampleToken } from "../generation/sampling.js";
import { checkCapacity, checkNotDisposed, checkTokens } from "../model/check-input.js";
import type { ModelConfig } from "../model/config.js";
import type { CacheKind } from "../model/generation-cache.js";
import type { Llama } from "../model/llama.js";
import type { Model } from "../model/model.js";
import type { Probe } from "../model/probe.js";
import { RotaryEmbedding } from "../model/rotary-embedding.js";
import { InputError } from "../util/errors.js";
import { BlockDecoder } from "./block-decoder.js";
import { blockInputs, type BlockStart } from "./decode-block.js";
import { type CacheSizes, GraphCache } from "./graph-cache.js";
import { inputValues } from "./inputs.js";
import { type InputValues, Session } from "./session.js";
import { slidingCapacity } from "./sliding-graph-cache.js";
import { placesOf } from "./trace-cache.js";
import {
  allCachedSizes,
  blockSize,
  type CallSize,
  chunkSizes,
  generationSizes,
  isSame,
  LONGEST_CHUNK,
  paddedSize,
} from "./call-sizes.js";
import { type Output, type TracedModel, traceModel } from "./trace-model.js";
import type { WeightType } from "./tracer.js";

/** Capacities are rounded up to a multiple of this, so one graph serves generations of similar length. */
const GRANULARITY = 32;

/** On a CPU, XLA speeds up calls of at most this many positions in all sequences; others it slows down. */
const FEW_POSITIONS = 8;

/** True if graph mode has this kind of cache. */
export const runsInGraphMode = (kind: CacheKind | undefined): boolean => kind?.type !== "quantized";

/** Options of `GraphLlama`. */
export interface GraphOptions {
  /** Compiles calls with XLA at their first run, where that is faster: all on a GPU, short ones on a CPU. */
  readonly xla?: boolean | undefined;
  /** Dtype of the weight matrices; bfloat16 halves their memory and keeps 8 of 24 significant bits. */
  readonly weightType?: WeightType | undefined;
  /**
   * The device that the calls are made for; by default the one that is used. For a GPU, matrices that multiply the same
   * input are stored beside each other, prompts are padded, so that fewer calls have to be compiled, and decode blocks are
   * long from the first on.
   */
  readonly device?: Device | undefined;
  /** Receives what is being done before the first result of a call, and undefined when it is done. */
  readonly onProgress?: ((what: string | undefined) => void) | undefined;
}

const PLAIN = cacheKind({ cache: "plain" });

/** A traced model for a kind of cache, B sequences and capacity L, and its graph inside TensorFlow. */
type LoadedModel = TracedModel & CacheSizes & { readonly session: Session; readonly started: Set<string> };

/**
 * A Llama in graph mode: its own code runs once, on a backend that computes nothing and writes each operation into a
 * TensorFlow graph. From then on a forward pass is one call into TensorFlow, where eager execution needs hundreds.
 *
 * To read on, in this order: trace-model.ts (what is traced) with inputs.ts, graph-cache.ts and trace-cache.ts;
 * decode-block.ts and block-decoder.ts (several decode steps in one call); tracer.ts and kernels.ts (how operations become
 * nodes); graph.ts, graph-function.ts (XLA, loops) and saved-model.ts (the graph and its file); session.ts (the graph
 * inside TensorFlow).
 *
 * The graph takes over the weights when it is first traced. On a GPU, as bfloat16, or if they were read for graph mode (see
 * `ReadOptions`), the `Llama` then has none and must not be used any more.
 */
export class GraphLlama implements SteppingModel {
  readonly config: ModelConfig;
  readonly longestChunk = LONGEST_CHUNK;
  private readonly rotaryEmbedding: RotaryEmbedding;
  private readonly usesGpu: boolean;
  private readonly isForGpu: boolean;
  private loaded: LoadedModel | undefined;
  private cache: GraphCache | undefined;

  /**
   * @param model belongs to the new model, which disposes it
   * @throws InputError where the backend is not TensorFlow, or for XLA with bfloat16 weights on a CPU
   */
  constructor(
    private readonly model: Llama,
    private readonly options: GraphOptions = {},
  ) {
    this.usesGpu = tensorflowBackend("graph mode").isUsingGpuDevice;
    this.isForGpu = options.device ? options.device === "cuda" : this.usesGpu;
    if (options.xla && options.weightType === "bfloat16" && !this.usesGpu) {
      throw new InputError(
        "weights must be float32 for XLA on a CPU, got bfloat16: use graph mode without XLA",
      );
    }
    this.config = model.config;
    this.rotaryEmbedding = new RotaryEmbedding(model.config);
  }

  /**
   * Traces the model for a batch size, a capacity, a kind of cache and some calls, unless the graph that it has serves
   * them. `createCache` and `forward` do this as well; call it to trace once, for the longest length of a generation.
   *
   * A graph has only calls that were asked for, because each takes time to trace and to load. Another call is traced when
   * it is first needed; weights and KV cache are copied to the new graph, on a GPU group by group so that weights are there once.
   *
   * @param sizes returns the calls for graphs of capacity L; by default those with the cache, for any prompt
   * @throws InputError for a quantized cache, after `dispose`, when the capacity exceeds the model's context, or a cache of
   *         other sizes is in use
   */
  prepare(
    batchSize: number,
    capacity: number,
    kind: CacheKind = this.loaded?.kind ?? PLAIN,
    sizes: (L: number) => readonly CallSize[] = (L) => allCachedSizes(L, kind, this.pads(kind)),
  ): void {
    checkNotDisposed(this.model);
    if (!runsInGraphMode(kind)) {
      throw new InputError(
        "the cache must be plain, paged or sliding in graph mode, got quantized: use --execution eager",
      );
    }
    const { loaded } = this;
    const fits = loaded?.B === batchSize && loaded.L >= capacity && serves(loaded.kind, kind, loaded.L);
    const { maxSeqLen } = this.config;
    const longest = kind.window < Infinity ? Infinity : maxSeqLen;
    if (capacity > longest) {
      throw new InputError(`the capacity must be within the model's context of ${longest}, got ${capacity}`);
    }
    const L = fits ? loaded.L : Math.min(GRANULARITY * Math.ceil(capacity / GRANULARITY), longest);
    const known = fits ? loaded.sizes : [];
    const longestPrefix = Math.min(L, maxSeqLen);
    const needed = sizes(longestPrefix);
    const isKnown = (size: CallSize) => known.some((other) => isSame(other, size));
    if (fits && needed.every(isKnown)) return;
    // XLA compiles all calls again after each trace, so a second one for a GPU gets all that a generation usually needs.
    const usual = fits && this.pads(kind) ? allCachedSizes(longestPrefix, kind, true) : [];
    const missing = [...needed, ...usual].filter(
      (size, i, list) => !isKnown(size) && !list.slice(0, i).some((other) => isSame(other, size)),
    );
    if (this.cache && !fits) {
      throw new InputError(
        `the batch size must be ${loaded!.B}, the capacity at most ${loaded!.L} and the cache ${loaded!.kind.name} ` +
          `while a KV cache is in use, got ${batchSize}, ${capacity} and ${kind.name}: dispose the cache first`,
      );
    }
    const cacheSizes = { config: this.config, kind: fits ? loaded.kind : kind, B: batchSize, L };
    const traced = traceModel(this.model, cacheSizes, [...known, ...missing], {
      weightType: this.options.weightType,
      joint: this.isForGpu,
      compiled: (T) => this.compiles(batchSize, T),
    });
    const { onProgress } = this.options;
    try {
      const session = Session.open(traced.tracer, {
        previous: loaded?.session,
        keepCache: this.cache !== undefined,
        onProgress: (done, all) => onProgress?.(`uploading weights: ${done} of ${all} parts`),
      });
      this.loaded = { ...traced, ...cacheSizes, session, started: new Set() };
    } finally {
      // Where it failed after weights had been moved, they are lost.
      if (loaded?.session.isClosed && loaded === this.loaded) this.loaded = this.cache = undefined;
      onProgress?.(undefined);
    }
  }

  /** True if the last chunk of a prompt is padded. Other caches than the plain one have no places for the padding. */
  private readonly pads = ({ type }: CacheKind): boolean => this.isForGpu && type === "plain";

  /** True if XLA compiles calls that compute T positions of each sequence. */
  compiles(batchSize: number, T: number): boolean {
    return this.options.xla === true && (this.usesGpu || batchSize * T <= FEW_POSITIONS);
  }

  /**
   * The same steps as an eager model's. The graph is traced once, for the whole generation. Greedy decoding takes the
   * argmax inside the graph, so two numbers per sequence are copied to the host instead of V logits. With the plain cache,
   * decode steps are computed in blocks, and sampling is part of them. Not so with `onLogits` or `sample`, which read each
   * step's logits.
   */
  steps(prompts: readonly (readonly number[])[], options: StepOptions): AsyncGenerator<Step, void, void> {
    const { temperature, maxGenLen, probe, onLogits, sample, useCache, cacheKind: kind = PLAIN } = options;
    const readsLogits = Boolean(probe ?? onLogits ?? sample);
    const greedy = temperature === 0 && !readsLogits;
    const inBlocks = useCache && kind.type === "plain" && !readsLogits;
    const block = inBlocks ? (greedy ? "greedy" : "sampled") : undefined;
    const lengths = prompts.map(({ length }) => length);
    const capacity = Math.max(0, ...lengths) + maxGenLen;
    const seen = [Math.min(...lengths), capacity - 1] as const; // by the first step, and by the last
    const sizes = (L: number) =>
      generationSizes(seen, L, kind.prefillChunk, { useCache, block, pads: this.pads(kind) });
    let chosen = false; // by the last call, which returned tokens instead of logits
    const blocks = new BlockDecoder(prompts, options, this.isForGpu, (start) => this.decodeBlock(start));
    const model: Model = {
      config: this.config,
      longestChunk: this.longestChunk,
      createCache: (B, needed, own) => this.openCache(B, needed, own, sizes),
      forward: (tokens, cache) => {
        if (!cache) this.prepare(tokens.length, capacity, undefined, sizes);
        const own = cache as GraphCache | undefined;
        chosen = greedy;
        if (own && block && tokens[0]!.length === 1 && this.loaded?.kind.type === "plain") {
          this.checkStep(tokens, own);
          chosen = true;
          return blocks.step(tokens, own);
        }
        return greedy ? this.forwardGreedy(tokens, own) : this.forward(tokens, own, probe);
      },
    };
    const choose: typeof sampleToken = (values, ...of) => (chosen ? values[0]! : sampleToken(values, ...of));
    return steps(model, prompts, readsLogits ? options : { ...options, sample: choose });
  }

  /**
   * Clears the graph's KV cache for a new generation.
   *
   * @throws InputError when another generation uses it, for a quantized cache, or when the capacity exceeds the model's
   *         context
   */
  createCache(batchSize: number, capacity: number, kind?: CacheKind): GraphCache {
    return this.openCache(batchSize, capacity, kind);
  }

  private openCache(
    batchSize: number,
    capacity: number,
    kind = PLAIN,
    sizes?: (L: number) => readonly CallSize[],
  ): GraphCache {
    if (this.cache) {
      throw new InputError("the KV cache is in use: a graph-mode model supports one generation at a time");
    }
    this.prepare(batchSize, capacity, kind, sizes);
    const loaded = this.loaded!;
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
    this.prepare(start.ids.length, this.loaded!.L, undefined, () => [blockSize(kind)]);
    const block = this.loaded!.blocks.get(kind)!;
    const result = this.compute(
      blockInputs(block, start, this.config, this.rotaryEmbedding),
      block.output,
      1,
    );
    const values = result.dataSync<"float32">();
    result.dispose();
    return values;
  }

  /** Checks the input of a forward pass. @returns B and T */
  private checkStep(tokens: readonly (readonly number[])[], cache?: GraphCache): [B: number, T: number] {
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
    const [B, T] = this.checkStep(tokens, cache);
    const space = (L: number) => (this.pads(this.loaded!.kind) ? L - prevPos : 0);
    const sizes = (L: number) => (cache ? chunkSizes(T, cache.prefillChunk, space(L)) : [paddedSize(T, L)]);
    this.prepare(B, Math.min(prevPos + T, cache ? this.loaded!.L : Infinity), undefined, sizes); // a ring goes beyond L
    const { L, calls } = this.loaded!;
    try {
      let [start, result]: [number, Tensor | undefined] = [0, undefined];
      for (const size of sizes(Math.min(L, this.config.maxSeqLen))) {
        result?.dispose();
        const call = calls.find((one) => isSame(one, size))!;
        const chunk = tokens.map((ids) => ids.slice(start, start + call.T));
        const inputs = inputValues(call, chunk, prevPos + start, this.rotaryEmbedding);
        const ofCache = cache?.inputs(call.scope, prevPos + start, call.T);
        result = this.compute({ ...inputs, ...ofCache }, call.outputs[output], call.T);
        start += call.T;
      }
      cache?.grow(T);
      return result as Tensor2D;
    } catch (error) {
      cache?.truncate(prevPos); // places that the failed call has taken
      throw error;
    }
  }

  /** Runs a call that computes T positions of each sequence. */
  private compute(inputs: InputValues, output: string, T: number): Tensor {
    const { session, started, B } = this.loaded!;
    const { onProgress } = this.options;
    if (started.has(output) || !this.compiles(B, T)) return session.run(inputs, output);
    onProgress?.(`compiling ${T === 1 ? "the decode steps" : `a chunk of ${T} positions`}`);
    try {
      return session.run(inputs, output);
    } finally {
      started.add(output);
      onProgress?.(undefined);
    }
  }

  /** Names of the operations of a decode step with the cache, before TensorFlow or XLA optimises the graph. */
  operations(): string[] {
    const { nodes = [], functions = [] } = this.loaded?.tracer.graph ?? {};
    const compiled = functions.find(({ name }) => name === "cached_1_compiled")?.nodes;
    const step = compiled ?? nodes.filter(({ name }) => name.startsWith("cached.1/"));
    const computes = (operation: string) => !/^(?:Const|Placeholder|Identity)$/.test(operation);
    return step.map(({ operation }) => operation).filter(computes);
  }

  /** Frees the graph with its variables, and the model. */
  dispose(): void {
    this.loaded?.session.close();
    this.loaded = undefined;
    this.cache = undefined;
    this.model.dispose();
  }
}

/** True if a graph that was traced for one kind of cache serves another, with its capacity L. */
function serves(traced: CacheKind, kind: CacheKind, L: number): boolean {
  const ringFits = kind.type !== "sliding" || traced.prefillChunk >= Math.min(kind.prefillChunk, L);
  return traced.name === kind.name && ringFits;
}
