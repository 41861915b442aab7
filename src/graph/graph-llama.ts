import type { Tensor2D } from "@tensorflow/tfjs-core";
import { Session } from "./session.js";
import { tensorflowBackend } from "../backend/tensorflow-backend.js";
import type { StepOptions } from "../generation/options.js";
import type { Step } from "../generation/steps.js";
import { InputError } from "../util/errors.js";
import { checkTokens } from "../model/check-input.js";
import type { ModelConfig } from "../model/config.js";
import type { Llama } from "../model/llama.js";
import type { Probe } from "../model/probe.js";
import { RotaryEmbedding } from "../model/rotary-embedding.js";
import { GraphCache } from "./graph-cache.js";
import {
  type GraphCall,
  type Recording,
  type GraphOptions,
  traceCalls,
  type Result,
  type Sizes,
} from "./trace-model.js";
import { runCall } from "./run-call.js";
import { graphSteps } from "./steps.js";

/** A recording is for a multiple of so many positions, so that one serves generations of similar length. */
const GRANULARITY = 32;

/** On a processor, calls that feed so many positions in all rows at most are faster when XLA compiles them; others slower. */
const FEW_POSITIONS = 8;

/** A recording inside TensorFlow, and what it is for. */
type Recorded = Sizes & Recording & { readonly session: Session };

/**
 * A Llama whose calls are recorded once as a TensorFlow graph: the model's own code, run over a recorder instead of
 * an backend. A token then costs one call into TensorFlow, where computing operation by operation costs hundreds.
 *
 * It stands in for a `Llama` wherever one generates. From the first `prepare` on the weights are TensorFlow's: on a
 * card, or as bfloat16, the model that was given then has none of its own any more.
 */
export class GraphLlama {
  readonly config: ModelConfig;
  private readonly rotaryEmbedding: RotaryEmbedding;
  private readonly onCard: boolean;
  private recorded: Recorded | undefined;
  private cache: GraphCache | undefined;

  /** @throws InputError where the backend is not TensorFlow, or not on a card with XLA and bfloat16 weights both */
  constructor(
    private readonly model: Llama,
    private readonly options: GraphOptions = {},
  ) {
    const { isUsingGpuDevice: card } = tensorflowBackend("recorded execution");
    if (options.xla && options.weightType === "bfloat16" && !card) {
      throw new InputError(
        "XLA with bfloat16 weights is for a card, this is a processor; expected one of the two",
      );
    }
    this.onCard = card;
    this.config = model.config;
    this.rotaryEmbedding = new RotaryEmbedding(model.config);
  }

  /**
   * Traces the model for a batch size and a capacity, unless the graph at hand serves them. A model has one graph, so
   * not while a generation of other sizes runs.
   *
   * @throws InputError when the capacity exceeds the model's context, or a cache of other sizes is in use
   */
  prepare(batchSize: number, capacity: number): void {
    const { recorded } = this;
    if (recorded?.B === batchSize && recorded.L >= capacity) return;
    const { maxSeqLen } = this.config;
    if (capacity > maxSeqLen) {
      throw new InputError(
        `the capacity must be within the model's context of ${maxSeqLen}, got ${capacity}`,
      );
    }
    this.checkIdle(batchSize, capacity);
    const L = Math.min(GRANULARITY * Math.ceil(capacity / GRANULARITY), maxSeqLen);
    const { weightType } = this.options;
    const compiled = (T: number) => this.compiles(batchSize, T);
    const recording = traceCalls(this.model, { B: batchSize, L }, { weightType, compiled });
    const session = Session.open(recording.recorder, recorded?.session);
    this.recorded = { B: batchSize, L, ...recording, session };
  }

  /** Generates step by step; the same steps as the reference loop's. */
  steps(prompts: readonly (readonly number[])[], options: StepOptions): AsyncGenerator<Step, void, void> {
    return graphSteps(this, prompts, options);
  }

  private checkIdle(batchSize: number, maxSeqLen: number): void {
    if (!this.cache) return;
    const { B, L } = this.recorded!;
    throw new InputError(
      `the model is recorded for ${B} rows of ${L} positions and in use; ` +
        `${batchSize} rows of ${maxSeqLen} were asked for`,
    );
  }

  /** Whether XLA makes one program of a call that feeds T positions of each row. */
  compiles(batchSize: number, T: number): boolean {
    return this.options.xla === true && (this.onCard || batchSize * T <= FEW_POSITIONS);
  }

  /**
   * Clears the graph's KV cache for a new generation, and traces the graph first where needed.
   *
   * @throws InputError when another generation uses it, or the capacity exceeds the model's context
   */
  createCache(batchSize: number, capacity: number): GraphCache {
    if (this.cache) {
      throw new InputError("the KV cache is in use: a graph-mode model supports one generation at a time");
    }
    this.prepare(batchSize, capacity);
    this.recorded!.session.clear();
    const cache = new GraphCache(batchSize, capacity, () => {
      if (this.cache === cache) this.cache = undefined;
    });
    this.cache = cache;
    return cache;
  }

  /**
   * As `Llama.forward`. A prompt goes into the cache in pieces, and a probe sees each piece; the scores and the last
   * position's norm only of the last. What it sees has to leave the graph, which costs time.
   */
  forward(tokens: readonly (readonly number[])[], cache?: GraphCache, probe?: Probe): Tensor2D {
    return this.feed("logits", tokens, cache, probe);
  }

  /** As `forward`, but what leaves the graph is only the choice of greedy decoding; see `greedyChoice`. */
  forwardGreedy(tokens: readonly (readonly number[])[], cache?: GraphCache): Tensor2D {
    return this.feed("choice", tokens, cache, undefined);
  }

  private feed(
    result: Result,
    tokens: readonly (readonly number[])[],
    cache: GraphCache | undefined,
    probe: Probe | undefined,
  ): Tensor2D {
    const { config, rotaryEmbedding } = this;
    const prevPos = cache?.length ?? 0;
    const [B, T] = checkTokens(tokens, prevPos, config);
    if (cache && cache !== this.cache) {
      throw new InputError("the cache must be this model's and not disposed");
    }
    this.prepare(B, prevPos + T);
    const { calls, session } = this.recorded!;
    const run = (call: GraphCall, piece: typeof tokens, start: number, last: boolean) =>
      runCall({ session, call, result, tokens: piece, start, last, probe, config, rotaryEmbedding });
    if (!cache) {
      const call = calls.findLast((one) => !one.useCache && one.T >= T)!; // the shortest that is long enough
      return run(call, tokens, 0, true);
    }
    cache.checkRoom(T);
    for (let from = 0; ;) {
      const call = calls.find((one) => one.useCache && one.T <= T - from)!; // the longest that is not too long
      const piece = tokens.map((row) => row.slice(from, from + call.T));
      const last = from + call.T === T;
      const out = run(call, piece, prevPos + from, last);
      if (last) {
        cache.grow(T);
        return out;
      }
      out.dispose();
      from += call.T;
    }
  }

  /**
   * What a decode step with the cache is made of: how often each of TensorFlow's operations, most frequent first, before
   * TensorFlow simplifies the graph or XLA compiles it. Constants, inputs and what only probes read are no operations.
   */
  operations(): Record<string, number> {
    const { nodes, functions } = this.recorded?.recorder.graph ?? { nodes: [], functions: [] };
    const idle = new Set(["Const", "Placeholder", "Identity", ...functions.map(({ name }) => name)]);
    const counts = new Map<string, number>();
    for (const { name, operation } of nodes) {
      if (!name.startsWith("cached.1/") || idle.has(operation)) continue;
      counts.set(operation, (counts.get(operation) ?? 0) + 1);
    }
    return Object.fromEntries([...counts].toSorted(([, a], [, b]) => b - a));
  }

  /** Frees the graph with its variables, and the model. */
  dispose(): void {
    this.recorded?.session.close();
    this.recorded = undefined;
    this.cache = undefined;
    this.model.dispose();
  }
}
