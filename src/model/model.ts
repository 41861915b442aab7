import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "./config.js";
import type { Probe } from "./probe.js";

/** A model as generation sees it: a `Llama`, or one in graph mode. */
export interface Model {
  readonly config: ModelConfig;
  /** Positions that one call computes with a cache, at most: longer prompts go in chunks. Absent where nothing limits it. */
  readonly longestChunk?: number | undefined;
  /** Allocates the KV cache of one generation: B sequences of up to `capacity` positions. */
  createCache(batchSize: number, capacity: number): Cache;
  /** Computes the next token's logits of each sequence, [B, V]; see `Llama.forward`. */
  forward(tokens: readonly (readonly number[])[], cache?: Cache, probe?: Probe): Tensor2D;
}

/** A KV cache as generation sees it. */
export interface Cache {
  /** Positions stored so far. */
  readonly length: number;
  /** Positions it has memory for. */
  readonly capacity: number;
  /** Drops all positions from `length` on. */
  truncate(length: number): void;
  dispose(): void;
}
