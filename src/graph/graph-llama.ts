import type { Tensor2D } from "@tensorflow/tfjs-core";
import { Session } from "./session.js";
import { tensorflowBackend } from "../backend/tensorflow-backend.js";
import { InputError } from "../util/errors.js";
import { checkTokens } from "../model/check-tokens.js";
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
  private ready: Promise<unknown> = Promise.resolve();

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
   * Records the model for so many rows and positions, unless the recording at hand is for as many. To be called before
   * a generation, and not while one of other sizes is under way: a model has one recording.
   *
   * @throws InputError for more positions than the model's context has, or while a cache of other sizes is in use
   */
  prepare(batchSize: number, maxSeqLen: number): Promise<void> {
    const result = this.ready.then(() => this.prepareNow(batchSize, maxSeqLen)); // one after the other
    this.ready = result.catch(() => {});
    return result;
  }

  private async prepareNow(batchSize: number, maxSeqLen: number): Promise<void> {
    const { recorded } = this;
    if (recorded?.B === batchSize && recorded.L >= maxSeqLen) return;
    if (maxSeqLen > this.config.maxSeqLen) {
      throw new InputError(
        `${maxSeqLen} positions were asked for, the model's context has ${this.config.maxSeqLen}`,
      );
    }
    this.checkIdle(batchSize, maxSeqLen);
    const L = Math.min(GRANULARITY * Math.ceil(maxSeqLen / GRANULARITY), this.config.maxSeqLen);
    const { weightType } = this.options;
    const compiled = (T: number) => this.compiles(batchSize, T);
    const recording = await traceCalls(this.model, { B: batchSize, L }, { weightType, compiled });
    this.checkIdle(batchSize, maxSeqLen); // once more: recording took its time
    const session = Session.open(recording.recorder, recorded?.session);
    this.recorded = { B: batchSize, L, ...recording, session };
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
   * Room for the keys and values of one generation.
   *
   * @throws InputError where `prepare` was not called for as much, or another generation has the room
   */
  createCache(batchSize: number, maxSeqLen: number): GraphCache {
    this.prepared(batchSize, maxSeqLen);
    if (this.cache) {
      throw new InputError(
        "the cache of a recorded model is in use: it has one, for one generation at a time",
      );
    }
    this.recorded!.session.clear();
    const cache = new GraphCache(batchSize, maxSeqLen, () => {
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
  forwardGreedy(tokens: readonly (readonly number[])[], cache?: GraphCache, probe?: Probe): Tensor2D {
    return this.feed("choice", tokens, cache, probe);
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
    const { calls, session } = this.prepared(B, prevPos + T);
    if (cache && cache !== this.cache) {
      throw new InputError("the cache is not this recorded model's, or it was disposed");
    }
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

  private prepared(batchSize: number, maxSeqLen: number): Recorded {
    const { recorded } = this;
    if (!recorded || recorded.B !== batchSize || recorded.L < maxSeqLen) {
      const sizes = recorded ? `${recorded.B} rows of ${recorded.L} positions` : "nothing yet";
      throw new InputError(
        `the model is recorded for ${sizes}; ${batchSize} rows of ${maxSeqLen} need prepare() first`,
      );
    }
    return recorded;
  }
}
