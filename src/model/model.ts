import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "./config.js";
import type { Cache, CacheKind } from "./generation-cache.js";
import type { Probe } from "./probe.js";

/** A model as generation sees it: a `Llama`, or one in graph mode. */
export interface Model {
  readonly config: ModelConfig;
  /** In graph mode, positions that one call computes with a cache, at most, whatever the cache's prefillChunk. */
  readonly longestChunk?: number | undefined;
  /** Allocates the KV cache of one generation: B sequences of up to `capacity` positions; the plain one by default. */
  createCache(batchSize: number, capacity: number, kind?: CacheKind): Cache;
  /** Computes the next token's logits of each sequence, [B, V]; see `Llama.forward`. */
  forward(tokens: readonly (readonly number[])[], cache?: Cache, probe?: Probe): Tensor2D;
}
