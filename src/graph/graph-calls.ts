import type { Tensor } from "@tensorflow/tfjs-core";
import type { Device } from "../backend/backend.js";
import { tensorflowBackend } from "../backend/tensorflow-backend.js";
import { checkNotDisposed } from "../model/check-input.js";
import { graphCapacity, SMALLEST_BUCKET } from "../model/buckets.js";
import type { CacheKind } from "../model/generation-cache.js";
import type { Llama } from "../model/llama.js";
import { InputError } from "../util/errors.js";
import { allCachedSizes, type CacheUse, type CallSize, withMissing } from "./call-sizes.js";
import type { CacheSizes } from "./graph-cache.js";
import { functionName } from "./graph-function.js";
import { type InputValues, Session } from "./session.js";
import { runsInGraphMode } from "./trace-cache.js";
import { type TracedModel, traceModel } from "./trace-model.js";
import type { WeightType } from "./tracer.js";

/** On a CPU, XLA speeds up calls of at most this many positions in all sequences; others it slows down. */
const FEW_POSITIONS = 8;

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
  /** Positions of a plain cache that calls read at least, unless it has fewer; see `bucketFor`. By default 2,048. */
  readonly smallestBucket?: number | undefined;
  /** Receives what is being done before the first result of a call, and undefined when it is done. */
  readonly onProgress?: ((what: string | undefined) => void) | undefined;
}

/** Returns the calls that are needed, for a graph with such a cache. */
export type NeededSizes = (use: CacheUse) => readonly CallSize[];

/** A traced model for a kind of cache, B sequences and capacity L, and its graph inside TensorFlow. */
type LoadedModel = TracedModel & CacheSizes & { readonly session: Session; readonly started: Set<string> };

/**
 * The calls of a model: traces those that are needed, all of them in one graph, and runs them. The graph is replaced when
 * it does not serve a call, by one that has the same weights and, for the same sizes, the same KV cache.
 */
export class GraphCalls {
  readonly isForGpu: boolean;
  private readonly usesGpu: boolean;
  private readonly smallestBucket: number;
  private traced: LoadedModel | undefined;

  /** @throws InputError where the backend is not TensorFlow, for XLA with bfloat16 weights on a CPU, or options out of range */
  constructor(
    private readonly model: Llama,
    private readonly options: GraphOptions,
  ) {
    this.usesGpu = tensorflowBackend("graph mode").isUsingGpuDevice;
    this.isForGpu = options.device ? options.device === "cuda" : this.usesGpu;
    if (options.xla && options.weightType === "bfloat16" && !this.usesGpu) {
      throw new InputError(
        "weights must be float32 for XLA on a CPU, got bfloat16: use graph mode without XLA",
      );
    }
    this.smallestBucket = options.smallestBucket ?? SMALLEST_BUCKET;
    if (!Number.isInteger(this.smallestBucket) || this.smallestBucket < 1) {
      throw new InputError(`smallestBucket must be a whole number >= 1, got ${this.smallestBucket}`);
    }
  }

  /** The graph; undefined before the first `prepare`, and after one that has lost the weights. */
  get loaded(): LoadedModel | undefined {
    return this.traced;
  }

  /**
   * Traces the model, unless the graph that there is serves the calls; see `GraphLlama.prepare`.
   *
   * @param hasCache true while a KV cache is in use, which only a graph of the same sizes can take over
   * @returns the calls that are needed
   */
  prepare(
    batchSize: number,
    capacity: number,
    kind: CacheKind,
    hasCache: boolean,
    sizes: NeededSizes = (use) => allCachedSizes(1, use),
  ): readonly CallSize[] {
    checkNotDisposed(this.model);
    if (!runsInGraphMode(kind)) {
      throw new InputError(
        "the cache must be plain, paged or sliding in graph mode, got quantized: use --execution eager",
      );
    }
    const { loaded } = this;
    const { config } = this.model;
    const fits = loaded?.B === batchSize && loaded.L >= capacity && serves(loaded.kind, kind, loaded.L);
    const longest = kind.window < Infinity ? Infinity : config.maxSeqLen;
    if (capacity > longest) {
      throw new InputError(`the capacity must be within the model's context of ${longest}, got ${capacity}`);
    }
    const L = fits ? loaded.L : Math.min(graphCapacity(capacity), longest);
    const known = fits ? loaded.sizes : [];
    const use = this.useOf(L, kind);
    const needed = sizes(use);
    const all = withMissing(known, needed, use);
    if (fits && all.length === known.length) return needed;
    if (hasCache && !fits) {
      throw new InputError(
        `the batch size must be ${loaded!.B}, the capacity at most ${loaded!.L} and the cache ${loaded!.kind.name} ` +
          `while a KV cache is in use, got ${batchSize}, ${capacity} and ${kind.name}: dispose the cache first`,
      );
    }
    this.load({ config, kind: fits ? loaded.kind : kind, B: batchSize, L }, all, hasCache);
    return needed;
  }

  /** The use of a cache of capacity L, which for a ring may be beyond the model's context. */
  private useOf(L: number, { type, prefillChunk }: CacheKind): CacheUse {
    return {
      L: Math.min(L, this.model.config.maxSeqLen),
      type,
      prefillChunk,
      pads: this.isForGpu && type === "plain", // other caches have no places for the padding
      smallestBucket: this.smallestBucket,
    };
  }

  /** Traces calls and loads the graph into TensorFlow, in place of the one that there is. */
  private load(cacheSizes: CacheSizes, sizes: readonly CallSize[], keepCache: boolean): void {
    const { loaded } = this;
    const { onProgress, weightType } = this.options;
    const traced = traceModel(this.model, cacheSizes, sizes, {
      weightType,
      joint: this.isForGpu,
      compiled: (T) => this.compiles(cacheSizes.B, T),
    });
    try {
      const session = Session.open(traced.tracer, {
        previous: loaded?.session,
        keepCache,
        onProgress: (done, all) => onProgress?.(`uploading weights: ${done} of ${all} parts`),
      });
      this.traced = { ...traced, ...cacheSizes, session, started: new Set() };
    } finally {
      // Where it failed after weights had been moved, they are lost.
      if (loaded?.session.isClosed && loaded === this.loaded) this.traced = undefined;
      onProgress?.(undefined);
    }
  }

  /** True if XLA compiles calls that compute T positions of each sequence. */
  private compiles(B: number, T: number): boolean {
    return this.options.xla === true && (this.usesGpu || B * T <= FEW_POSITIONS);
  }

  /** Runs a call that computes T positions of each sequence. @returns the node `output`, which the caller disposes */
  compute(inputs: InputValues, output: string, T: number): Tensor {
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
    const scope = this.loaded?.calls.find(({ T, useCache }) => T === 1 && useCache)?.scope;
    const compiled = functions.find(({ name }) => name === functionName(`${scope}/compiled`))?.nodes;
    const step = compiled ?? nodes.filter(({ name }) => name.startsWith(`${scope}/`));
    const computes = (operation: string) => !/^(?:Const|Placeholder|Identity)$/.test(operation);
    return step.map(({ operation }) => operation).filter(computes);
  }

  /** Frees the graph with its variables, and the model. */
  dispose(): void {
    this.loaded?.session.close();
    this.traced = undefined;
    this.model.dispose();
  }
}

/** True if a graph that was traced for one kind of cache serves another, with its capacity L. */
function serves(traced: CacheKind, kind: CacheKind, L: number): boolean {
  const ringFits = kind.type !== "sliding" || traced.prefillChunk >= Math.min(kind.prefillChunk, L);
  return traced.name === kind.name && ringFits;
}
