import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { cacheKind } from "../cache/cache-kind.js";
import type { CacheKind } from "../model/generation-cache.js";
import { causalMask } from "../model/positions.js";
import { type CacheSizes, cacheVariables, type Places, type TracedCache } from "./graph-cache.js";
import { pagedPlaces, tracePaged } from "./paged-graph-cache.js";
import { slidingPlaces, traceSliding } from "./sliding-graph-cache.js";
import type { Tracer } from "./tracer.js";

/** The kind of cache that is meant where none is named. */
export const PLAIN = cacheKind({ cache: "plain" });

/** True if graph mode has this kind of cache. */
export const runsInGraphMode = (kind: CacheKind | undefined): boolean => kind?.type !== "quantized";

/**
 * Declares a cache's variables, once for all calls of a graph.
 *
 * @returns the cache of a call that computes some positions, [T], and reads the first S, at most L. `append` adds operations
 *          that write the former and then read the latter: unlike an eager cache's, whose result grows, a graph has fixed
 *          shapes. Only the plain cache is read in part
 */
export function traceCache(
  tracer: Tracer,
  sizes: CacheSizes,
): (positions: Tensor1D, S: number) => TracedCache {
  switch (sizes.kind.type) {
    case "paged":
      return tracePaged(tracer, sizes);
    case "sliding":
      return traceSliding(tracer, sizes);
    default:
      return tracePlain(tracer, sizes);
  }
}

/** The places of a new generation. */
export function placesOf(sizes: CacheSizes): Places | undefined {
  if (sizes.kind.type === "paged") return pagedPlaces(sizes);
  return sizes.kind.type === "sliding" ? slidingPlaces(sizes) : undefined;
}

/** The plain cache: [B*K*L, D] for keys and values of each layer; position p of matrix m, of the B*K, is row m·L + p. */
function tracePlain(
  tracer: Tracer,
  { config, B, L }: CacheSizes,
): (positions: Tensor1D, S: number) => TracedCache {
  const { nKvHeads: K, headDim: D } = config;
  const exchange = cacheVariables(tracer, config, B * K * L);
  return (positions, S) => {
    const first = Array.from({ length: B * K }, (_, m) => [m * L]);
    const rows = tf.reshape(tf.add(tf.tensor2d(first, [B * K, 1], "int32"), positions), [-1]); // [B*K*T]
    const read = (all: Tensor2D) => {
      const whole = tf.reshape<tf.Rank.R3>(all, [B * K, L, D]);
      return S < L ? tf.slice(whole, [0, 0, 0], [B * K, S, D]) : whole;
    };
    return {
      layers: exchange(rows as Tensor1D, read),
      mask: causalMask(positions, S, config.slidingWindow),
    };
  };
}
